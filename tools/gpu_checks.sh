#!/usr/bin/env bash
# Makes and measures the embedded model on one CUDA GPU, in pieces that each end within MINUTES (default 8) and go on
# where the last one stopped. Call it again with the same arguments until it says that all is done.
#
#   tools/gpu_checks.sh RUN_DIR            next piece: frames, perception, base, adapter, speed
#   tools/gpu_checks.sh RUN_DIR STAGE      this stage alone
#
# Needs: python3 with torch (CUDA), transformers, peft, mujoco, OpenCV, tqdm. What must come back fits in 16 MB files:
# RUN_DIR/base in parts (tar split at 15 MB) and the JSON files.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

run=${1:?usage: tools/gpu_checks.sh RUN_DIR [STAGE]}
limit=$((${MINUTES:-8} * 60))
export PYTHONPATH="$PWD:$PWD/training:$PWD/ros2_ws/src/nav_vlm_sim${PYTHONPATH:+:$PYTHONPATH}"
export MUJOCO_GL=egl HF_HUB_OFFLINE=1 PYTHONUNBUFFERED=1
mkdir -p "$run"
deadline=$((SECONDS + limit))

piece() { # piece NAME COMMAND...: runs it once to its end; a stage that was cut off is called again next time
    local name=$1 left=$((deadline - SECONDS))
    shift
    [[ -e $run/$name.done ]] && return 0
    if ((left < 30)); then
        echo "time is up before $name: call again"
        exit 0
    fi
    echo "== $name ($left s left)"
    local rc=0
    timeout --signal=INT --kill-after=20 "$left" "$@" || rc=$?
    if ((rc == 124 || rc == 130)); then
        echo "$name goes on at the next call"
        exit 0
    fi
    ((rc == 0)) && touch "$run/$name.done"
    return $rc
}

stage() {
    piece "$1" python3 -m nav_vlm_training.cli embedded --run "$run" --stage "$1" --device cuda \
        --samples "${SAMPLES:-2000000}" --worlds "${WORLDS:-1400}"
}

for name in ${2:-frames perception base adapter speed}; do
    case $name in
    speed) piece speed python3 tools/bench_training.py --device cuda --out "$run/gpu_training.json" ;;
    *) stage "$name" ;;
    esac
done
if [[ -e $run/adapter.done && ! -e $run/base.tar.00 ]]; then
    tar -C "$run" -c base | split --bytes=15m --numeric-suffixes - "$run/base.tar."
fi
echo "all done: $run"
