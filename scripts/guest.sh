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

# add_program DIR NAME: one of this machine's own, with the libraries that it is linked to.
add_program() {
	local path lib

	path=$(command -v "$2") || die "there is no program $2"
	install -D "$path" "$1/bin/$2"
	while IFS= read -r lib; do
		install -D "$lib" "$1$lib"
	done < <(ldd "$path" | grep -o '/[^ ]*')
}

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

# numa_command NODES IMAGE INITRD [KERNEL-ARGUMENT...]: the same with 2 or 3 NUMA nodes.
#
#   node  CPU  memory                        and a DIMM   distances
#   0     0    1G DMA32, 1280M Normal        512M         10 20     10 15 30
#   1     1    2G Normal                     512M         20 10     15 10 20
#   2     -    2G Normal                     -                      30 20 10
#
# 1G on each node is CMA, for one huge page of 1G while there is one; what it is called
# in debugfs is cma/hugetlbN. Node 0 begins below and goes on above 4G, because QEMU has
# its tables, and the initramfs, high in what is below. The DIMMs are ZONE_MOVABLE and
# can be ejected; nothing can plug one in again.
numa_command() {
	local nodes=$1 image=$2 initrd=$3 last=$(($1 - 1)) size node more=()
	local GUEST_CPUS=2,sockets=2
	local GUEST_MEMORY=$((2304 + 2048 * last))M,slots=2,maxmem=10G
	shift 3

	for node in $(seq 0 "$last"); do
		size=$((node ? 2048 : 2304))M
		more+=(-object "memory-backend-ram,id=node$node,size=$size"
		       -numa "node,nodeid=$node,memdev=node$node$( ((node > 1)) || echo ",cpus=$node")")
	done
	for node in 0 1; do
		more+=(-object "memory-backend-ram,id=dimm$node,size=512M"
		       -device "pc-dimm,memdev=dimm$node,node=$node")
	done
	more+=(-numa "dist,src=0,dst=1,val=$((nodes == 2 ? 20 : 15))")
	((nodes == 2)) || more+=(-numa 'dist,src=1,dst=2,val=20' -numa 'dist,src=0,dst=2,val=30')
	qemu_command "$image" "$initrd" memhp_default_state=online_movable \
		"hugetlb_cma=$(seq -f %g:1G -s , 0 "$last")" "$@"
	QEMU_CMD+=(-machine 'pc,max-ram-below-4g=1G' "${more[@]}")
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
