"""Cutting a network: what is 0 can go without a trace, consumers and all; costs are counted right; trainings resume."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from rankvqa_cli.errors import InputError, ModelError, UsageError
from rankvqa_cli.models import registry
from rankvqa_cli.models.patchnet import PatchNet
from rankvqa_cli.models.pqanet import PQANet
from rankvqa_cli.models.rankvqa_parts import RankVQAConfig
from rankvqa_cli.training.datasets import BatchOptions
from rankvqa_cli.training.loop import LoopOptions
from rankvqa_cli.training.patchnet_shape import PatchNetShape
from rankvqa_cli.training.prune import PruneOptions, cut_network, prune
from rankvqa_cli.training.rankvqa_shape import RankVQAShape
from rankvqa_cli.training.shapes import total
from rankvqa_cli.training.sparsity import SparsityOptions
from rankvqa_cli.training.trainable import Trainable, batch_logs, open_trainable
from rankvqa_cli.training.widths import (
    Channels,
    Cost,
    Place,
    Target,
    densities,
    fitting_widths,
    scaled_widths,
)

from .tiny_networks import CASES, PATCHNET, RANKVQA, batch, clip, write

each_case = pytest.mark.parametrize("case", CASES)


def opened(folder: Path, case: str) -> Trainable:
    return open_trainable(str(write(folder / f"{case}.safetensors", CASES[case])))[0]


def halved(big: Trainable) -> dict[str, int]:
    return scaled_widths(big.shape.sizes, dict.fromkeys(big.shape.sizes, 0.5), big.shape.multiples(1))


def mask(big: Trainable, widths: dict[str, int]) -> None:
    """Zero every filter that cutting to ``widths`` takes away."""
    tensors = big.tensors()
    chosen = [each.strongest(tensors, widths[each.width]) for each in big.shape.channels()]
    for each, kept in zip(big.shape.channels(), chosen, strict=True):
        gone = torch.ones(each.size, dtype=torch.bool)
        gone[kept] = False
        for place in each.made:
            tensors[place.tensor].narrow(0, place.offset, each.size)[gone] = 0


@each_case
def test_cutting_what_is_zero_changes_no_score(tmp_path: Path, case: str) -> None:
    big = opened(tmp_path, case)
    widths = halved(big)
    mask(big, widths)
    small = cut_network(big, big.shape.resized(widths))
    assert small.shape.sizes == widths
    assert all(widths[name] < size for name, size in big.shape.sizes.items())
    with torch.no_grad():
        big.module.eval()
        small.module.eval()
        before, after = big.observe(batch(), maps=True), small.observe(batch(), maps=True)
        logs = batch_logs(big, batch())
        assert logs.std() > 0.01
        torch.testing.assert_close(batch_logs(small, batch()).exp(), logs.exp(), rtol=1e-4, atol=1e-6)
        # PQANet's distances by place, which the sixth level has none of; PatchNet's levels are channels alone.
        for level in () if case == "patchnet" else before.levels.keys() - {6}:
            torch.testing.assert_close(
                after.levels[level][:, 0], before.levels[level][:, 0], rtol=1e-4, atol=1e-6
            )
    models = []
    for name, network in (("big", big), ("small", small)):
        path = tmp_path / f"{name}.safetensors"
        network.write(path, name, "")
        models.append(registry.load(str(path)))
    frames = models[0].clip_frames
    reference, distorted = clip(frames, 7), [clip(frames, 7, noise) for noise in (0, 4, 30)]
    one, two = (model.score_clips(reference, distorted) for model in models)
    assert one[1].distance != one[2].distance
    assert [each.distance for each in two] == pytest.approx([each.distance for each in one], rel=5e-3)
    if case != "plain":  # published networks have no exact identity
        assert [each[0].score for each in (one, two)] == [100.0, 100.0]


@each_case
def test_filters_that_are_not_zero_do_change_scores(tmp_path: Path, case: str) -> None:
    """So that the test above cannot pass by looking at nothing."""
    big = opened(tmp_path, case)
    small = cut_network(big, big.shape.resized(halved(big)))
    with torch.no_grad():
        big.module.eval()
        small.module.eval()
        change = (batch_logs(small, batch()) - batch_logs(big, batch())).abs()
    assert change.max() > 1e-2


def test_a_network_can_be_cut_twice(tmp_path: Path) -> None:
    big = opened(tmp_path, "rankvqa")
    first = big.shape.resized(
        scaled_widths(big.shape.sizes, dict.fromkeys(big.shape.sizes, 0.75), big.shape.multiples(1))
    )
    mask(big, halved(big))
    twice = cut_network(cut_network(big, first), big.shape.resized(halved(big)))
    with torch.no_grad():
        for network in (big, twice):
            network.module.eval()
        logs = [batch_logs(network, batch()).exp() for network in (twice, big)]
        torch.testing.assert_close(*logs, rtol=1e-4, atol=1e-6)


@each_case
def test_parameters_and_channels_are_the_network_s(tmp_path: Path, case: str) -> None:
    big = opened(tmp_path, case)
    real = {name: value.shape for name, value in big.parameters().items()}
    counted = {name: value.shape for name, value in big.shape.parameters().items() if "stanet" not in name}
    assert counted == real
    for each in big.shape.channels():
        assert all(len(rows) == each.size for rows in each.rows(big.tensors()))


def test_flops_of_pqanet_are_the_published_ones() -> None:
    from rankvqa_cli.models.pqanet import PQANetConfig

    plain = total(RankVQAShape(RankVQAConfig(network=PQANetConfig())))
    assert plain.parameters == 4_594_938
    # The released network computes all six levels of the pyramid, as it does here where somebody looks at the sixth.
    whole = total(RankVQAShape(RankVQAConfig(network=PQANetConfig(), readout=True)))
    assert whole.flops == pytest.approx(21.5e9, rel=2e-3)
    assert plain.flops == pytest.approx(whole.flops - 24 * 2 * 16 * 9 * (128 * 192 + 192 * 192))


def test_flops_are_what_torch_counts() -> None:
    network = PQANet(RANKVQA.network).eval()
    counter = FlopCounterMode(display=False)
    video = torch.zeros(1, RANKVQA.network.frames, 3, 256, 256)
    with torch.no_grad(), counter:
        network.level_maps(network.features(video), network.features(video))
    assert total(RankVQAShape(replace(RANKVQA, stanet=False))).flops == counter.get_total_flops()
    small = PatchNet(PATCHNET).eval()
    luma, chroma = torch.zeros(12, 1, 256, 256), torch.zeros(12, 2, 128, 128)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        small.energies(small.features(luma, chroma), small.features(luma, chroma))
    assert total(PatchNetShape(PATCHNET)).flops == counter.get_total_flops()


def test_density_counts_the_weights_that_make_a_width() -> None:
    tensors = {"a": torch.tensor([[1.0, 0], [0, 0]]), "b": torch.tensor([1.0, 1, 0, 1])}
    channels = [Channels("w", 2, (Place("a", 0),)), Channels("w", 2, (Place("b", 0, 2),))]
    assert densities(channels, tensors) == {"w": 2 / 6}


def test_widths_are_rounded_up_and_stay_within_what_there_is() -> None:
    sizes, multiples = {"a": 64, "b": 12, "c": 16}, {"a": 8, "b": 8, "c": 8}
    assert scaled_widths(sizes, {"a": 0.3, "b": 0.9, "c": 0.0}, multiples) == {"a": 24, "b": 12, "c": 8}
    assert scaled_widths(sizes, {"a": 0.25, "b": 0.1, "c": 0.6}, multiples, 2.0) == {"a": 32, "b": 8, "c": 16}


def test_target_is_used_up_in_proportion_to_the_densities() -> None:
    sizes, shares = {"a": 100, "b": 100}, {"a": 0.8, "b": 0.2}

    def cost(widths: dict[str, int]) -> Cost:
        return Cost(sum(widths.values()), 2 * sum(widths.values()))

    ones = dict.fromkeys(sizes, 1)
    assert fitting_widths(sizes, shares, ones, (50, 1e9), cost) == {"a": 40, "b": 10}  # type: ignore[arg-type]
    assert fitting_widths(sizes, shares, ones, (1e9, 50), cost) == {"a": 20, "b": 5}  # type: ignore[arg-type]


def test_heads_keep_as_many_channels_each() -> None:
    rows = torch.tensor([5.0, 4, 3, 2, 0.1, 0.3, 0.2, 0.4]).unsqueeze(1)
    each = Channels("dim", 8, (Place("a", 0),), parts=2)
    assert each.strongest({"a": rows}, 4).tolist() == [0, 1, 5, 7]
    assert replace(each, parts=1).strongest({"a": rows}, 4).tolist() == [0, 1, 2, 3]


LOOP = LoopOptions(steps=6, warmup=1, save_every=2, check_every=6, rate=0.02)
OPTIONS = PruneOptions(
    batch=BatchOptions(groups=2, slots=2, frames=1),
    sparsity=SparsityOptions(penalty=0.5),
    sparse=LOOP,
    finetune=replace(LOOP, steps=4, check_every=4),
    multiple=2,
    fold=-1,
)


class BrokenOffError(Exception):
    pass


@pytest.fixture(scope="module")
def unbroken(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unbroken")
    write(folder / "big.safetensors", RANKVQA)
    prune(
        str(folder / "big.safetensors"),
        corpus,
        folder / "run",
        folder / "out",
        "p",
        OPTIONS,
        lambda line: None,
    )
    return folder


@pytest.mark.parametrize(("phase", "step"), [(1, "step 4"), (2, "step 2")])
def test_broken_off_and_started_again_is_the_same(
    corpus: Path, unbroken: Path, tmp_path: Path, phase: int, step: str
) -> None:
    seen: list[str] = []

    def stop(line: str) -> None:
        seen.append(line)
        if line.startswith(step) and (phase == 2) == any(each.startswith("widths") for each in seen):
            raise BrokenOffError

    model, run, out = str(unbroken / "big.safetensors"), tmp_path / "run", tmp_path / "out"
    with pytest.raises(BrokenOffError):
        prune(model, corpus, run, out, "p", OPTIONS, stop)
    assert not out.exists()
    prune(model, corpus, run, out, "p", OPTIONS, lambda line: None)
    assert out.read_bytes() == (unbroken / "out").read_bytes()


def test_penalty_decides_and_the_table_is_the_file_s(corpus: Path, unbroken: Path, tmp_path: Path) -> None:
    """The penalty of the options shrinks the network, a small one does not; what the table says is in the files."""
    small = open_trainable(str(unbroken / "out"))[0]
    assert total(small.shape).parameters < total(RankVQAShape(RANKVQA)).parameters
    with (unbroken / "run" / "layers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert total(small.shape) == Cost(
        sum(int(row["parameters_after"]) for row in rows), sum(int(row["flops_after"]) for row in rows)
    )
    kept = {
        name: value.numel() for name, value in small.tensors().items() if name in small.shape.parameters()
    }
    assert sum(kept.values()) == total(small.shape).parameters
    assert any(0 < float(row["density"]) < 1 for row in rows)
    # All steps proximal: an orthant step makes a zero of what crosses 0, whatever the penalty.
    sparsity = SparsityOptions(penalty=1e-9, proximal=1.0)
    gentle = replace(OPTIONS, sparsity=sparsity, finetune=replace(LOOP, steps=1))
    model = str(unbroken / "big.safetensors")
    found = prune(model, corpus, tmp_path / "run", tmp_path / "out", "p", gentle, lambda line: None)
    assert found.after == found.before
    assert {row.density for row in found.layers} == {1.0}


def test_target_is_met(corpus: Path, unbroken: Path, tmp_path: Path) -> None:
    options = replace(
        OPTIONS, target=Target(0.5, 0.45), sparse=replace(LOOP, steps=2), finetune=replace(LOOP, steps=1)
    )
    model = str(unbroken / "big.safetensors")
    found = prune(model, corpus, tmp_path / "run", tmp_path / "out", "p", options, lambda line: None)
    assert found.after.parameters <= 0.5 * found.before.parameters
    assert found.after.flops <= 0.45 * found.before.flops
    assert found.after.flops > 0.2 * found.before.flops


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (Target(parameters=1.0), "not below"),
        (Target(parameters=1e9), "not below"),
        (Target(flops=1e15), "not below"),
        (Target(parameters=1e-4), "smallest widths"),
        (Target(flops=10), "smallest widths"),
    ],
)
def test_targets_that_cannot_be(unbroken: Path, tmp_path: Path, target: Target, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        prune(
            str(unbroken / "big.safetensors"),
            tmp_path / "no-corpus",
            tmp_path / "run",
            tmp_path / "out",
            "p",
            replace(OPTIONS, target=target),
            lambda line: None,
        )


def test_bad_input(unbroken: Path, tmp_path: Path) -> None:
    def tried(model: Path, options: PruneOptions = OPTIONS) -> None:
        prune(
            str(model),
            tmp_path / "nothing",
            tmp_path / "run",
            tmp_path / "out",
            "p",
            options,
            lambda line: None,
        )

    with pytest.raises(InputError, match="not a finished corpus"):
        tried(unbroken / "big.safetensors")
    with pytest.raises(ModelError, match="does not exist"):
        tried(tmp_path / "absent.safetensors")
    with pytest.raises(UsageError, match="frames 5"):
        tried(unbroken / "big.safetensors", replace(OPTIONS, batch=BatchOptions(frames=5)))
    assert not (tmp_path / "run").exists()
