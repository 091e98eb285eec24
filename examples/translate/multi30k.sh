#!/bin/sh
# Multi30k, English to German, as the literature measures it: trains `tiny`, translates test_2016_flickr, prints BLEU.
#
#   sh examples/translate/multi30k.sh FOLDER [MODEL]
#
# FOLDER holds train, val and test_2016_flickr, lower-cased, normalised and tokenised by the corpus' own scripts:
# train.lc.norm.tok.en and so on (https://github.com/multi30k/dataset, data/task1/tok). MODEL is the file to write; a run
# that was stopped goes on from where it was. TRANSLATE names the program, if it is not quickstart.sh's.
set -eu
data=$1
model=${2:-multi30k.safetensors}
translate=${TRANSLATE:-$(dirname "$0")/../../build/quickstart/examples/translate}

resume=
if [ -d "$model.run" ]; then resume=--resume; fi
"$translate" train --source "$data/train.lc.norm.tok.en" --target "$data/train.lc.norm.tok.de" \
  --validation-source "$data/val.lc.norm.tok.en" --validation-target "$data/val.lc.norm.tok.de" --model "$model" \
  --preset tiny --vocabulary 10000 --tokens 4096 --learning-rate 5e-3 --warmup 2000 --steps 7000 --cooldown 2000 \
  --checkpoint-every 200 --keep 12 --average 10 --validate-every 500 --tokenize none --plot "$model.svg" --seed 1 $resume
"$translate" run --model "$model" --beam 5 --length-normalisation plain --length-penalty 1 \
  <"$data/test_2016_flickr.lc.norm.tok.en" >"$model.out"
for tokenize in none 13a; do  # the literature's figure, and sacrebleu's default
  "$translate" score --references "$data/test_2016_flickr.lc.norm.tok.de" --hypotheses "$model.out" \
    --tokenize "$tokenize" --confidence
done
