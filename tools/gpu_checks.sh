#!/usr/bin/env bash
# What needs a CUDA GPU, in pieces that each end within MINUTES (default 8); a piece that is done is skipped, so call it
# again until it says that all is done.
#
#   tools/gpu_checks.sh                  tests, equal numbers, training at flan-t5-xl's size, latency: a JSON per piece
#   tools/gpu_checks.sh RUN_DIR [STAGE]  makes the embedded model: frames, perception, base, adapter
#
# OUT      folder of the JSON files (docs/results/gpu); what lies there already is not measured again
# MINUTES  of a piece at most (8); TOTAL_MINUTES: of this call at most (24)
# PYTHON   with torch, transformers, peft, safetensors, tqdm, PyYAML, OpenCV, pytest and hypothesis (.venv's, or python3)
# WHEELS   folder of wheels for what that lacks (.whl, if it is there): pip download --no-deps -d .whl peft==VERSION
# SMALL=1  the embedded model's size, a few rounds and DEVICE=cpu: shows that the script runs, and measures nothing
#
# Nothing is downloaded. What comes back is small: seven JSON files; RUN_DIR/base in parts of 15 MB.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

total=$((${TOTAL_MINUTES:-24} * 60))
limit=$((${MINUTES:-8} * 60))
small=${SMALL:-}
device=${DEVICE:-$([[ $small ]] && echo cpu || echo cuda)}
out=${OUT:-docs/results/gpu}
python=${PYTHON:-$([[ -x .venv/bin/python ]] && echo .venv/bin/python || echo python3)}
wheels=${WHEELS:-.whl}
failed=0

export PYTHONPATH="$PWD:$PWD/training:$PWD/ros2_ws/src/nav_vlm_sim${PYTHONPATH:+:$PYTHONPATH}"
export MUJOCO_GL=egl HF_HUB_OFFLINE=1 PYTHONUNBUFFERED=1

say() { echo "gpu_checks: $*"; }

if compgen -G "$wheels/*.whl" >/dev/null; then
    site=$(mktemp -d)
    trap 'rm -rf "$site"' EXIT
    "$python" -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --target "$site" "$wheels"/*.whl
    export PYTHONPATH="$PYTHONPATH:$site"
fi
for module in torch transformers peft safetensors tqdm yaml cv2 pytest hypothesis; do
    "$python" -c "import importlib.util, sys; sys.exit(importlib.util.find_spec('$module') is None)" || {
        say "error: $python has no $module; install it, or put its wheel into $wheels" >&2
        exit 2
    }
done

# piece NAME DONE COMMAND...: runs it unless the file DONE is there, within what is left of the time.
piece() {
    local name=$1 finished=$2 left=$((total - SECONDS)) rc=0
    shift 2
    if [[ -e $finished ]]; then
        ! grep -q '"fine": false' "$finished" || { say "$name is not fine, see $finished" >&2; failed=1; }
        return 0
    fi
    ((left < limit)) || left=$limit
    if ((left < 30)); then
        say "time is up before $name: call again"
        exit 0
    fi
    say "$name ($left s at most)"
    timeout --signal=INT --kill-after=20 "$left" "$@" || rc=$?
    if ((rc == 124 || rc == 130 || rc == 137)); then
        say "$name was cut off: call again"
        exit 0
    fi
    if ((rc)); then
        say "$name ended with status $rc" >&2  # 1: measured, and not as it should be
        failed=1
    fi
}

measure() { # all pieces that leave a JSON file
    local training=(--device "$device") check=(--device "$device")
    if [[ $small ]]; then
        training+=(--base small --batch 2 --steps 1)
        check+=(--small)
    fi
    mkdir -p "$out"
    for name in tests precision latency; do
        piece "$name" "$out/$name.json" "$python" tools/gpu_check.py "$name" "${check[@]}" --out "$out/$name.json"
    done
    for precision in bf16 fp32; do
        for variant in lm_only joint; do
            name=training_${variant}_$precision
            piece "$name" "$out/$name.json" "$python" tools/bench_training.py --variant "$variant" \
                --precision "$precision" "${training[@]}" --out "$out/$name.json"
        done
    done
}

make_embedded() { # make_embedded RUN_DIR STAGE...
    local run=$1
    shift
    mkdir -p "$run"
    for name in "$@"; do
        piece "$name" "$run/$name.done" "$python" -m nav_vlm_training.cli embedded --run "$run" --stage "$name" \
            --device "$device" --samples "${SAMPLES:-2000000}" --worlds "${WORLDS:-1400}"
        ((failed)) && exit 1
        touch "$run/$name.done"
    done
    if [[ -e $run/adapter.done && ! -e $run/base.tar.00 ]]; then
        tar -C "$run" -c base | split --bytes=15m --numeric-suffixes - "$run/base.tar."
    fi
}

if (($#)); then
    out=$1
    shift
    if (($#)); then make_embedded "$out" "$1"; else make_embedded "$out" frames perception base adapter; fi
else
    measure
fi
((failed)) && exit 1
say "all done: $out"
