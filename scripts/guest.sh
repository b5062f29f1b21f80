# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The guest: an initramfs around a job, and QEMU under a supervisor that never
# waits for ever. Sourced after lib.sh and tree.sh.

# new_root DIR JOB: an initramfs tree with busybox, our init and that job.
new_root() {
	local dir=$1

	rm -rf "$dir"
	mkdir -p "$dir"/{bin,guestmem,dev,etc,root,usr/share}
	cp /bin/busybox "$dir/bin/busybox"
	cp "$TOP/scripts/guest/init" "$dir/init"
	cp "$TOP/scripts/guest/job-$2" "$dir/guestmem/"
	printf 'JOB=%s\n' "$2" >"$dir/guestmem/params"
	chmod 755 "$dir/init"
}

# param DIR NAME VALUE: a shell variable for the job.
param() { printf "%s='%s'\n" "$2" "${3//\'/\'\\\'\'}" >>"$1/guestmem/params"; }

pack_root() { (cd "$1" && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --quiet) | gzip -1 >"$2"; }

# qemu_command IMAGE INITRD [KERNEL-ARGUMENT...]: into QEMU_CMD; the job's channel is
# the second port.
qemu_command() {
	local image=$1 initrd=$2
	shift 2

	QEMU_CMD=(qemu-system-x86_64 -no-user-config -nodefaults -no-reboot -display none
		-accel 'tcg,thread=multi' -cpu 'max,+svm,+npt,-la57,phys-bits=52'
		-smp "${GUEST_CPUS:-2}" -m "${GUEST_MEMORY:-4G}"
		-kernel "$image" -initrd "$initrd"
		-append "console=ttyS0 loglevel=7 oops=panic panic=-1 $* ${GUEST_CMDLINE:-}")
}

# host_root: share this machine's root, read-only.
host_root() {
	QEMU_CMD+=(-virtfs 'local,path=/,mount_tag=hostroot,security_model=none,readonly=on,multidevs=remap')
}

# supervise DIR ARGS...: run QEMU_CMD; kernel log and job output become files in DIR.
supervise() {
	local dir=$1
	shift
	mkdir -p "$dir"
	rm -f "$dir/kernel.log" "$dir/job.log"
	QEMU_CMD+=(-serial "file:$dir/kernel.log" -serial "file:$dir/job.log")
	python3 "$TOP/scripts/supervise.py" --job "$dir/job.log" --kernel "$dir/kernel.log" "$@" \
		-- "${QEMU_CMD[@]}"
}
