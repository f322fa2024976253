#!/usr/bin/env bash
# Encodes every SOURCE with several codecs at several rates, scores all encodes and compares the codecs with x264.
#
#   codec_comparison.sh FOLDER SOURCE [SOURCE ...]
#
# FOLDER keeps the encodes, the list of jobs, the scores and the comparison: run it again to go on where it was broken
# off. FFMPEG names the encoder's binary, VQA_SCORE the command that scores, OPTIONS what is said to its batch, CODECS and
# RATES what is encoded; x264 has to be among the codecs.
set -euo pipefail

[ $# -ge 2 ] || { echo "usage: $0 FOLDER SOURCE [SOURCE ...]" >&2; exit 2; }
folder=$1; shift
ffmpeg=${FFMPEG:-ffmpeg}
read -ra score <<<"${VQA_SCORE:-vqa-score}"
codecs=${CODECS:-libx264 libx265 libsvtav1}
mkdir -p "$folder/encodes"
printf 'distorted,reference,codec,crf,content\n' >"$folder/jobs.csv"

for source in "$@"; do
  source=$(realpath -- "$source")
  content=$(basename -- "${source%.*}")
  for encoder in $codecs; do
    codec=${encoder#lib}
    rates=${RATES:-24 29 34 39 44}
    [ "$codec" != svtav1 ] || rates=${RATES:-28 36 44 52 60}
    for crf in $rates; do
      encode=encodes/${content}_${codec}_$crf.mp4
      if [ ! -e "$folder/$encode" ]; then # under its name only when it is whole
        "$ffmpeg" -v error -nostdin -y -i "$source" -an -c:v "$encoder" -crf "$crf" "$folder/unfinished.mp4"
        mv -- "$folder/unfinished.mp4" "$folder/$encode"
      fi
      printf '"%s","%s",%s,%s,"%s"\n' "${encode//\"/\"\"}" "${source//\"/\"\"}" "$codec" "$crf" "${content//\"/\"\"}" \
        >>"$folder/jobs.csv"
    done
  done
done

read -ra options <<<"${OPTIONS:-}"
"${score[@]}" batch "$folder/jobs.csv" -o "$folder/scores.csv" -y "${options[@]}" >/dev/null
"${score[@]}" compare "$folder/scores.csv" --anchor x264 -o "$folder/comparison.md" -y
cat -- "$folder/comparison.md"
