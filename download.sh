#!/usr/bin/env bash

# Download Llama 2 by the link of Meta's e-mail: licence, tokenizer and models, resumed and verified.
# `kollama2 download` does the same without wget and md5sum.

set -euo pipefail

ASK="https://www.llama.com/llama-downloads/"

fail() {
    echo "download.sh: $2" >&2
    exit "$1"
}

need() {
    command -v "$1" >/dev/null || fail 69 "$1 is not installed; install it with: $2 (or use kollama2 download)"
}
need wget "sudo apt install wget, or brew install wget"
need md5sum "sudo apt install coreutils, or brew install coreutils md5sha1sum"

read -r -p "Enter the URL from email: " PRESIGNED_URL || [ -n "$PRESIGNED_URL" ] ||
    fail 64 "no link was given: answer on the terminal, or by lines on standard input"
echo ""
read -r -p "Enter the list of models to download without spaces (7B,13B,70B,7B-chat,13B-chat,70B-chat), or press Enter for all: " MODEL_SIZE || [ -n "$MODEL_SIZE" ] ||
    fail 64 "no models were named: answer on the terminal, or by lines on standard input"
TARGET_FOLDER="${TARGET_FOLDER:-.}"

case "$PRESIGNED_URL" in
https://*'*'* | http://127.0.0.1:*'*'*) ;;
*) fail 64 "the link must begin with https:// and hold a *; copy it whole from the e-mail" ;;
esac

MODEL_SIZE="${MODEL_SIZE:-7B,13B,70B,7B-chat,13B-chat,70B-chat}"
IFS=, read -r -a MODELS <<<"$MODEL_SIZE"
GIGABYTES=0
for m in "${MODELS[@]}"; do
    case "$m" in
    7B | 7B-chat) GIGABYTES=$((GIGABYTES + 14)) ;;
    13B | 13B-chat) GIGABYTES=$((GIGABYTES + 27)) ;;
    70B | 70B-chat) GIGABYTES=$((GIGABYTES + 138)) ;;
    *) fail 64 "there is no Llama 2 model '$m'; there are 7B, 13B, 70B, 7B-chat, 13B-chat, 70B-chat" ;;
    esac
done

mkdir -p "$TARGET_FOLDER"
FREE=$(df -Pk "$TARGET_FOLDER" | awk 'NR == 2 { print int($4 / 1000 / 1000) }')
HAVE=$(du -sk "$TARGET_FOLDER" | awk '{ print int($1 / 1000 / 1000) }')
if [ $((FREE + HAVE)) -lt "$GIGABYTES" ]; then
    fail 75 "$MODEL_SIZE need $GIGABYTES GB and $TARGET_FOLDER has $FREE GB left; free some space, or set TARGET_FOLDER"
fi

# The link goes to wget by its standard input, so that no list of processes shows the signature.
fetch() {
    local path="$1" partial="$TARGET_FOLDER/$1.partial" code=0
    if [ -f "$TARGET_FOLDER/$path" ]; then
        return
    fi
    echo "Downloading $path"
    mkdir -p "$(dirname "$partial")"
    printf '%s\n' "${PRESIGNED_URL/'*'/$path}" |
        wget --quiet --continue --tries=5 --timeout=60 --max-redirect=0 -O "$partial" -i - || code=$?
    if [ "$code" = 8 ]; then
        fail 77 "the server refuses $path: a link works for 24 hours and a limited number of downloads. Request a new one on $ASK with the same e-mail address and run this again; what was fetched is kept"
    elif [ "$code" != 0 ]; then
        fail 75 "$path could not be fetched (wget exit $code); what came is kept, run this again"
    fi
    # The answer can be an error page all the same.
    case "$(head -c 16 "$partial" | tr -d '\0' | tr '[:upper:]' '[:lower:]')" in
    '<!doctype'* | '<html'* | '<?xml'*)
        rm -f "$partial"
        fail 77 "the server answered with a page instead of $path: the link has expired or is not whole. Request a new one on $ASK"
        ;;
    esac
}

finish() {
    if [ -f "$TARGET_FOLDER/$1.partial" ]; then
        mv "$TARGET_FOLDER/$1.partial" "$TARGET_FOLDER/$1"
    fi
}

at() {
    if [ -f "$TARGET_FOLDER/$1" ]; then echo "$TARGET_FOLDER/$1"; else echo "$TARGET_FOLDER/$1.partial"; fi
}

# verified FOLDER CHECKLIST FILE...: a file gets its name only when its sum is right.
verified() {
    local folder="$1" sums="$1$2" name wanted found
    shift 2
    for name in "$@"; do
        fetch "$folder$name"
    done
    fetch "$sums"
    echo "Checking checksums"
    for name in "$@"; do
        wanted=$(awk -v name="$name" '{ sub(/^\*/, "", $2) } $2 == name { print tolower($1) }' "$(at "$sums")")
        if [ -z "$wanted" ]; then
            rm -f "$(at "$sums")"
            fail 65 "$sums names no MD5 sum of $name, so it cannot be verified; run this again"
        fi
        found=$(md5sum <"$(at "$folder$name")" | cut -d ' ' -f 1)
        if [ "$found" != "$wanted" ]; then
            rm -f "$(at "$folder$name")" "$(at "$sums")"
            fail 76 "$folder$name came with the MD5 $found, $sums demands $wanted; it was deleted, run this again"
        fi
        finish "$folder$name"
    done
    finish "$sums"
}

echo "Downloading LICENSE and Acceptable Usage Policy"
for name in LICENSE USE_POLICY.md; do
    fetch "$name"
    finish "$name"
done

echo "Downloading tokenizer"
verified "" tokenizer_checklist.chk tokenizer.model

for m in "${MODELS[@]}"; do
    case "$m" in
    7B*) SHARD=0 ;;
    13B*) SHARD=1 ;;
    70B*) SHARD=7 ;;
    esac
    MODEL_PATH="llama-2-$(echo "$m" | tr '[:upper:]' '[:lower:]')"
    echo "Downloading $MODEL_PATH"
    NAMES=()
    for s in $(seq -f "%02g" 0 "$SHARD"); do
        NAMES+=("consolidated.$s.pth")
    done
    verified "$MODEL_PATH/" checklist.chk "${NAMES[@]}" params.json
done
