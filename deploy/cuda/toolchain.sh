#!/usr/bin/env bash
# Makes a CUDA 13.0 compiler in a folder, out of the vendor's Python wheels, on a machine that has neither a GPU nor a
# driver nor root rights. Afterwards FOLDER/env sets the variables that the build reads:
#
#   deploy/cuda/toolchain.sh FOLDER
#   . FOLDER/env && cargo build --release --features cuda -p toolweaver-embedding --example embed_speed
#
# The driver and the CUDA libraries are replaced by empty stand-ins that only satisfy the linker. A binary linked this
# way starts only where the real libcuda, libcublas, libcurand and libnvrtc are.
#
# Needs python3 with pip, and a C compiler (CC, default gcc).
set -euo pipefail

if [ $# -ne 1 ]; then
  echo "usage: $0 FOLDER" >&2
  exit 2
fi
mkdir -p "$1"
folder=$(cd "$1" && pwd)
workspace=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cuda=$folder/nvidia/cu13
version='13.0.*'

if [ ! -e "$folder/wheels.done" ]; then
  wheels=$folder/wheels
  rm -rf "$wheels" && mkdir "$wheels"
  # Compiler driver, its optimiser, its start-up objects, the runtime, and the C++ headers the kernels include.
  for part in nvcc crt runtime cccl; do
    python3 -m pip download --quiet --no-deps --only-binary=:all: --dest "$wheels" "nvidia-cuda-$part==$version"
  done
  python3 -m pip download --quiet --no-deps --only-binary=:all: --dest "$wheels" "nvidia-nvvm==$version"
  for wheel in "$wheels"/*.whl; do
    python3 -m zipfile -e "$wheel" "$folder"
  done
  chmod +x "$cuda"/bin/* "$cuda"/nvvm/bin/* # Unpacking loses the mode.
  rm -rf "$wheels"
  touch "$folder/wheels.done"
fi

# cudarc declares every function it may call; its source is what the stand-ins have to define.
cudarc=$(cargo metadata --manifest-path "$workspace/Cargo.toml" --format-version 1 --features toolweaver-embedding/cuda |
  python3 -c 'import json, os, sys
packages = json.load(sys.stdin)["packages"]
print(next(os.path.dirname(p["manifest_path"]) for p in packages if p["name"] == "cudarc"))')

stand_ins=$folder/stand-ins
mkdir -p "$stand_ins"
# stand_in NAME SONAME PREFIX [NOT_PREFIX]: a library of empty functions for all names with that prefix.
stand_in() {
  local source=$stand_ins/$1.c
  grep -rhoE "\bfn $3[A-Za-z0-9_]*" "$cudarc/src" | cut -d' ' -f2 | sort -u |
    awk -v without="${4:-}" 'without == "" || index($0, without) != 1 { print "void " $0 "(void) {}" }' > "$source"
  if [ ! -s "$source" ]; then
    echo "cudarc declares no function of $1: has its layout changed?" >&2
    exit 1
  fi
  "${CC:-gcc}" -shared -fPIC -w -Wl,-soname,"$2" -o "$stand_ins/lib$1.so" "$source"
}
stand_in cuda libcuda.so.1 'cu[A-Z]'
stand_in cublas libcublas.so.13 cublas cublasLt
stand_in cublasLt libcublasLt.so.13 cublasLt
stand_in curand libcurand.so.10 curand
stand_in nvrtc libnvrtc.so.13 nvrtc
ln -sf "$cuda/lib/libcudart.so.13" "$stand_ins/libcudart.so"

cat > "$folder/env" <<EOF
export CUDA_HOME='$cuda' CUDA_PATH='$cuda' CUDA_ROOT='$cuda' CUDA_TOOLKIT_ROOT_DIR='$cuda'
export PATH='$cuda/bin':"\$PATH" LIBRARY_PATH='$stand_ins':"\${LIBRARY_PATH:-}"
export CUDA_COMPUTE_CAP="\${CUDA_COMPUTE_CAP:-90}"
EOF
"$cuda/bin/nvcc" --version | tail -n 2
echo "$folder/env"
