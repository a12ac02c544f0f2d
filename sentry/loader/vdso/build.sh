#!/bin/sh
# Builds vdso.so from vdso.c. The result is checked in.
set -e
cd "$(dirname "$0")"
${CC:-gcc} -O2 -fPIC -shared -nostdlib -ffreestanding -fno-stack-protector -mno-red-zone -fcf-protection=none \
	-fno-asynchronous-unwind-tables -fasynchronous-unwind-tables -mgeneral-regs-only -fvisibility=hidden \
	-Wall -Wl,-soname=linux-vdso.so.1 -Wl,--hash-style=both -Wl,--build-id=none -Wl,-Bsymbolic -Wl,--no-undefined \
	-Wl,-z,max-page-size=4096 -Wl,-z,noexecstack -Wl,--eh-frame-hdr -Wl,-T,vdso.lds -o "${1:-vdso.so}" vdso.c
strip "${1:-vdso.so}"
