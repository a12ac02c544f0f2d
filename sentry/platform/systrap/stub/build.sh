#!/bin/sh
# Builds the stub; $1 is the output (default ../stub.elf). go generate calls it.
set -e
cd "$(dirname "$0")"
out=${1:-../stub.elf}
gcc -O2 -Wall -Wextra -mgeneral-regs-only -mfsgsbase -ffreestanding -fno-stack-protector -fno-asynchronous-unwind-tables \
	-fcf-protection=none -fpie -fno-plt -fvisibility=hidden -fno-jump-tables -nostdlib -static -no-pie \
	-Wl,--build-id=none -Wl,-z,norelro -Wl,-z,noexecstack -Wl,-T,stub.ld -o "$out" gate.S stub.c
