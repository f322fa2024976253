#!/usr/bin/env bash
# Fails a build whose encodes are not good enough.
#
#   gate.sh REFERENCE ENCODE...
#
# The limits: the mean, and the level that 95 % of the frames reach, so that a short bad passage cannot hide
# behind a good average. VQA_MEAN and VQA_P5 change them. scores.json holds every frame, for the artifacts.
set -euo pipefail

reference=$1
shift
inputs=()
for encode; do
    inputs+=(-i "$encode")
done
read -ra vqa_score <<<"${VQA_SCORE:-vqa-score}"

# Exit codes: 0 good enough, 1 a gate failed, anything else means that nothing was measured: also a failure.
exec "${vqa_score[@]}" "${inputs[@]}" -ref "$reference" \
    --fail-under "mean=${VQA_MEAN:-80}" \
    --fail-under "p5=${VQA_P5:-70}" \
    -o scores.json -y --no-progress
