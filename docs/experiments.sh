#!/bin/sh
# Makes every figure of docs/experiments.md: docs/experiments.sh MUSIC OUT
# MUSIC is the folder with the eight Schumann files, OUT gets runs, takes, curves and tables.
# About half an hour on two cores. A run that is there already is not trained again. ETUDE names
# another binary, by its full path, than the one ./run builds.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
music=$(CDPATH='' cd -- "$1" && pwd)
mkdir -p "$2"
out=$(CDPATH='' cd -- "$2" && pwd)
etude=${ETUDE:-$here/../run}
cd "$here/.."
mkdir -p "$out/runs" "$out/curves"

train() {
    name=$1
    shift
    [ -e "$out/runs/$name" ] || "$etude" train "$music" --out "$out/runs/$name" "$@"
}
# compose FOLDER/NAME RUN FLAGS...: the take, and beside it what the program says of it
compose() {
    take=$out/$1
    model=$out/runs/$2
    shift 2
    mkdir -p "$(dirname "$take")"
    "$etude" generate --model "$model" --out "$take.mid" --frames 300 --fps 8 --json "$@" >"$take.json"
}
table() { cargo run --release --quiet --example roll_table -- "$@"; }
curves() {
    title=$1
    name=$2
    shift 2
    cargo run --release --quiet --example curves -- "$out/curves/$name.svg" "$title" "$@"
}

# The networks: the original's settings, then Etude's defaults on the same frames.
train lstm --preset original
train gru --preset original --model gru
train ours --model lstm --framing original --split tail
train ours-gru --framing original --split tail --model gru
train ours-seed1 --model lstm --framing original --split tail --seed 1
train ours-gru-seed1 --framing original --split tail --model gru --seed 1
train fps8 --model lstm --framing original --split tail --fps 8 --epochs 10
train fps8-steps --model lstm --framing original --split tail --fps 8 --epochs 10 --batch 4 --dropout 0.3
train fps30 --model lstm --framing original --split tail --fps 30 --epochs 3

# Temperature: five takes each, with nothing forbidden.
last=lstm/checkpoints/epoch-00050.safetensors
for temperature in 0.7 0.9 0.99 1.2 1.5; do
    for model in ours "$last"; do
        compose "temperature-${model%%/*}/$temperature/take" "$model" --takes 5 \
            --temperature $temperature --longest-hold 0 --no-repeat 0
    done
done

# Frames a second: what models of the three rates make of it.
for run in ours fps8 fps8-steps fps30; do
    compose "rates/$run/take" $run --takes 5 --longest-hold 0 --no-repeat 0
done

# Strategies: as a user gets them, then without the guard against standing still.
for strategy in max sample beam; do
    compose "samples/ours-$strategy" ours --strategy $strategy
    compose "samples/original-$strategy" "$last" --strategy $strategy
    compose "unguarded/ours-$strategy" ours --strategy $strategy --longest-hold 0 --no-repeat 0
    compose "unguarded/original-$strategy" "$last" --strategy $strategy --longest-hold 0 --no-repeat 0
done

{
    table pieces "$music" 2 8 30
    table takes "$music" 2 "$out/rates/ours"
    table takes "$music" 8 "$out/rates/fps8" "$out/rates/fps8-steps"
    table takes "$music" 30 "$out/rates/fps30"
    table takes "$music" 2 "$out"/temperature-ours/*
    table takes "$music" 2 "$out"/temperature-lstm/*
    table takes "$music" 2 "$out"/samples/*.mid
    table takes "$music" 2 "$out"/unguarded/*.mid
} >"$out/tables.md"

curves "LSTM, the original's settings" lstm "$out/runs/lstm"
curves "GRU, the original's settings" gru "$out/runs/gru"
curves "LSTM and GRU, Etude's settings" ours "$out/runs/ours" "$out/runs/ours-gru"
curves "8 frames a second, Etude's settings" fps8 "$out/runs/fps8" "$out/runs/fps8-steps"
curves "30 frames a second, Etude's settings" fps30 "$out/runs/fps30"
