"""Decoders that run before anything is compared, so that nothing waits for FFmpeg to start or for the first frames."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from rankvqa_cli.media.held import HeldReader
from rankvqa_cli.types import ComparisonPlan, PlannedInput, ReadOptions

if TYPE_CHECKING:
    from rankvqa_cli.media.lookahead import Lookahead

#: How much of one video is held before it is compared: what alignment looks at first, if it is not too large.
HELD_FRAMES, HELD_BYTES = 32, 128 << 20
#: How long nobody asks whether enough is held, while FFmpeg gives nothing.
PATIENCE_S = 0.01


class Early:
    """The reference's decoder, whose first frames ``lookahead`` shows to alignment, and the first input's.

    To be entered with ``with``. Each decoder is handed over once, by ``take``, to be closed by whoever took it. Raises
    InputError where FFmpeg cannot be started.

    ``every`` says that of an input alone one frame in so many will be looked at: others are not delivered (see
    ``media.sparse``).
    """

    def __init__(self, plan: ComparisonPlan, options: ReadOptions, every: int | None = None) -> None:
        self.lookahead: Lookahead | None = None
        if plan.reference is not None:
            # With numpy, which an input alone does not wait for.
            from rankvqa_cli.media.lookahead import Lookahead

            self.lookahead = Lookahead(plan.reference, options)
        self._plan = plan
        self._input = HeldReader(plan.inputs[0], options, every)
        self._taken = False

    def __enter__(self) -> Early:
        try:
            if self.lookahead is not None:
                self.lookahead.begin()
            self._input.open()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def read_on(self, enough: Callable[[], bool]) -> None:
        """Hold the next frames of both videos, until it is ``enough`` or there are as many as may be. Nobody looks at
        the reference after this."""
        readers = [self._input]
        if self.lookahead is not None:
            self.lookahead.looked()
            readers.append(self.lookahead.reader)
        while readers and not enough():
            reader = min(readers, key=lambda each: each.holds)
            if not reader.ready(PATIENCE_S):
                continue
            most = min(HELD_FRAMES, HELD_BYTES // reader.format.frame_bytes)
            if reader.holds >= most or reader.hold() is None:
                readers.remove(reader)

    def suit(self, every: int | None) -> None:
        """One frame in ``every`` will be looked at, or all (None): begin anew if the input is not read for that."""
        if self._input.every not in (None, every):
            self._input.close()
            self._taken = True

    def take(self, planned: PlannedInput) -> HeldReader | None:
        """The decoder of ``planned``, from its first frame on; None where there is none, or it was taken before."""
        if self.lookahead is not None and planned is self._plan.reference:
            return self.lookahead.take()
        if self._taken or planned is not self._plan.inputs[0]:
            return None
        self._taken = True
        return self._input

    def reference_decodes(self, passes: int) -> int:
        """How many decodings of the reference were begun, with those of so many ``passes``."""
        return 0 if self.lookahead is None else passes + self.lookahead.decodes - self.lookahead.taken

    def _close(self) -> None:
        if self.lookahead is not None:
            self.lookahead.close()
        if not self._taken:
            self._input.close()
