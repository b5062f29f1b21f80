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

# megabytes SIZE: of a size as QEMU's -m has it.
megabytes() {
	case $1 in
	*[gG]) echo $((${1%?} * 1024)) ;;
	*[mM]) echo "${1%?}" ;;
	*) die "GUEST_MEMORY is a number with M or G behind it, not $1" ;;
	esac
}

# add_node NODE MEGABYTES [CPUS]: a NUMA node for QEMU_CMD; one without CPUs has memory only.
add_node() {
	QEMU_CMD+=(-object "memory-backend-ram,id=node$1,size=$2M"
		   -numa "node,nodeid=$1,memdev=node$1${3:+,cpus=$3}")
}

add_distance() { QEMU_CMD+=(-numa "dist,src=$1,dst=$2,val=$3"); }

# high_memory: all but 1G of node 0 above 4G. What is below is spoilt for huge pages of
# 1G by QEMU's tables, and by the initramfs, which are high in it.
high_memory() { QEMU_CMD+=(-machine 'pc,max-ram-below-4g=1G'); }

# two_nodes IMAGE INITRD [KERNEL-ARGUMENT...]: qemu_command with half of the memory, and
# of the CPUs, on each of two NUMA nodes that are alike. With one CPU node 1 has none.
two_nodes() {
	local cpus=${GUEST_CPUS:-2} half second
	local GUEST_CPUS=$cpus,sockets=$cpus

	half=$(($(megabytes "${GUEST_MEMORY:-4G}") / 2))
	second=$(((cpus + 1) / 2))
	GUEST_MEMORY=$((2 * half))M qemu_command "$@"
	add_node 0 $half "0-$((second - 1))"
	add_node 1 $half "$( ((second == cpus)) || echo "$second-$((cpus - 1))")"
	add_distance 0 1 20
	high_memory
}

# numa_command NODES IMAGE INITRD [KERNEL-ARGUMENT...]: the machine of the tests, with 2
# or 3 NUMA nodes.
#
#   node  CPU  memory                        and a DIMM   distances
#   0     0    1G DMA32, 1280M Normal        512M         10 20     10 15 30
#   1     1    2G Normal                     512M         20 10     15 10 20
#   2     -    2G Normal                     -                      30 20 10
#
# 1G on each node is CMA, for one huge page of 1G while there is one; what it is called
# in debugfs is cma/hugetlbN. The DIMMs are ZONE_MOVABLE and can be ejected; nothing can
# plug one in again.
numa_command() {
	local nodes=$1 image=$2 initrd=$3 last=$(($1 - 1)) node
	local GUEST_CPUS=2,sockets=2
	local GUEST_MEMORY=$((2304 + 2048 * last))M,slots=2,maxmem=10G
	shift 3

	qemu_command "$image" "$initrd" memhp_default_state=online_movable \
		"hugetlb_cma=$(seq -f %g:1G -s , 0 "$last")" "$@"
	add_node 0 2304 0
	add_node 1 2048 1
	((nodes == 2)) || add_node 2 2048
	for node in 0 1; do
		QEMU_CMD+=(-object "memory-backend-ram,id=dimm$node,size=512M"
			   -device "pc-dimm,memdev=dimm$node,node=$node")
	done
	add_distance 0 1 $((nodes == 2 ? 20 : 15))
	if ((nodes == 3)); then
		add_distance 1 2 20
		add_distance 0 2 30
	fi
	high_memory
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
