#!/bin/sh
# Measures an NVIDIA machine that has only the binary and a folder of MIDI files:
#   benches/gpu.sh ETUDE MUSIC [DEVICE]        ETUDE: the built binary; DEVICE: cuda (the default)
#
# It lists the devices, trains the same small run on the CPU and on the card, compares their
# losses, composes, times training steps of the usual size, and prints a table. NVIDIA's run-time
# libraries must be there (a CUDA toolkit, or: etude devices --fetch-cuda).
# Status 0 if the losses agree within the tolerance, else 1.
set -eu

etude=${1:?the etude binary}
music=${2:?a folder of MIDI files}
device=${3:-cuda}
# Relative difference of the held-out loss after three epochs. Sums are made in another order on a
# card and products may be rounded to 19 bits (TF32), so the curves drift apart slowly.
tolerance=${ETUDE_GPU_TOLERANCE:-0.02}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# field NAME: the last number (or word) of that name in a line of JSON on standard input.
field() { sed -n "s/.*\"$1\":\"\{0,1\}\([^,\"}]*\).*/\1/p" | tail -n 1; }

echo "== devices"
"$etude" devices

# measure NAME ARGS…: trains and leaves its JSON lines in $work/NAME.json.
measure() {
    name=$1
    shift
    "$etude" train "$music" --out "$work/$name" --model lstm --seed 1 --early-stop 0 --json "$@" \
        >"$work/$name.json" 2>"$work/$name.log" || { cat "$work/$name.log" >&2; return 1; }
}

echo
echo "== the same small run on the CPU and on $device"
# Held out is the end of everything, whose chords the vocabulary mostly has, so that the loss is the
# network's and not the spelling of unknown chords.
small="--epochs 3 --hidden 64 --layers 1 --batch 32 --dropout 0 --split tail --framing original --max-vocabulary 2000"
# Word splitting is meant.
# shellcheck disable=SC2086
measure cpu $small --device cpu
# shellcheck disable=SC2086
measure card $small --device "$device"
cpu_loss=$(grep '"epoch":3' "$work/cpu.json" | field valid_loss)
card_loss=$(grep '"epoch":3' "$work/card.json" | field valid_loss)
difference=$(awk "BEGIN { d = ($card_loss - $cpu_loss) / $cpu_loss; print d < 0 ? -d : d }")
agrees=$(awk "BEGIN { print ($difference <= $tolerance) ? \"yes\" : \"NO\" }")
printf '%-24s %s\n' "held-out loss, CPU" "$cpu_loss" "held-out loss, $device" "$card_loss" \
    "relative difference" "$difference (at most $tolerance: $agrees)"

echo
echo "== composing with what the card learned"
"$etude" generate --model "$work/card" --out "$work/a.mid" --frames 300 --takes 3 --seed 1
"$etude" generate --model "$work/card" --out "$work/b.mid" --frames 300 --strategy beam

echo
echo "== throughput, 2 layers of 512, sequences of 100, batch 256 or what the music allows (the last of three epochs)"
printf '%-8s %-10s %-12s %-16s %s\n' device chords frames/s "seconds/epoch" "held-out perplexity"
for chords in 1000 8000; do
    name=speed-$chords
    if measure "$name" --epochs 3 --max-vocabulary $chords --device "$device"; then
        epoch=$(grep '"epoch":3' "$work/$name.json")
        before=$(grep '"epoch":2' "$work/$name.json" | field seconds)
        after=$(printf '%s' "$epoch" | field seconds)
        printf '%-8s %-10s %-12.0f %-16.1f %s\n' "$device" \
            "$(field vocabulary <"$work/$name.json")" "$(printf '%s' "$epoch" | field frames_per_second)" \
            "$(awk "BEGIN { print $after - $before }")" "$(printf '%s' "$epoch" | field valid_perplexity)"
    else
        printf '%-8s %-10s failed\n' "$device" "$chords"
    fi
done
# The CPU for comparison: one epoch is enough.
if measure speed-cpu --epochs 1 --max-vocabulary 1000 --device cpu; then
    printf '%-8s %-10s %-12.0f %-16s %s\n' cpu "$(field vocabulary <"$work/speed-cpu.json")" \
        "$(grep '"epoch":1,' "$work/speed-cpu.json" | field frames_per_second)" \
        "$(grep '"epoch":1,' "$work/speed-cpu.json" | field seconds)" \
        "$(grep '"epoch":1,' "$work/speed-cpu.json" | field valid_perplexity)"
fi

[ "$agrees" = yes ]
