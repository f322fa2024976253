#!/usr/bin/env bash
# The smallest encode of a source whose score is high enough.
#
#   smallest_above.sh SOURCE SCORE ENCODE...
#
# Encodes are tried from the smallest file on, so no more are scored than must be. Prints the file's name;
# exits with 1 where none is good enough, and with vqa-score's own code where a file cannot be scored.
set -euo pipefail

if (($# < 3)); then
    echo "usage: smallest_above.sh SOURCE SCORE ENCODE..." >&2
    exit 2
fi
source=$1 wanted=$2
shift 2
read -ra vqa_score <<<"${VQA_SCORE:-vqa-score}"

while IFS= read -r -d '' line; do
    encode=${line#*$'\t'}
    code=0
    said=$("${vqa_score[@]}" -loglevel error -i "$encode" -ref "$source" --fail-under "mean=$wanted" 2>&1 >/dev/null) || code=$?
    case $code in
    0)
        printf '%s\n' "$encode"
        exit 0
        ;;
    1) ;; # scored, and below
    *)
        printf '%s\n' "$said" >&2
        exit "$code"
        ;;
    esac
done < <(for file; do printf '%s\t%s\0' "$(wc -c <"$file")" "$file"; done | sort -z -n)
echo "no encode reaches $wanted" >&2
exit 1
