# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The machine of make run --movable and of make bench: two NUMA nodes that are alike.
# Sourced after guest.sh, whose numa_command is the one that the tests run on.

# megabytes SIZE: of a size as QEMU's -m has it.
megabytes() {
	case $1 in
	*[gG]) echo $((${1%?} * 1024)) ;;
	*[mM]) echo "${1%?}" ;;
	*) die "GUEST_MEMORY is a number with M or G behind it, not $1" ;;
	esac
}

# two_nodes IMAGE INITRD [KERNEL-ARGUMENT...]: qemu_command with half of the memory, and
# of the CPUs, on each node. With one CPU node 1 has memory only. All but 1G of node 0 is
# above 4G: what is below is spoilt for huge pages of 1G by QEMU's tables and the initramfs.
two_nodes() {
	local cpus=${GUEST_CPUS:-2} half node
	local GUEST_CPUS=$cpus,sockets=$cpus

	half=$(($(megabytes "${GUEST_MEMORY:-4G}") / 2))
	GUEST_MEMORY=$((2 * half))M qemu_command "$@"
	for node in 0 1; do
		QEMU_CMD+=(-object "memory-backend-ram,id=node$node,size=${half}M"
			   -numa "node,nodeid=$node,memdev=node$node")
	done
	for ((node = 0; node < cpus; node++)); do
		QEMU_CMD+=(-numa "cpu,node-id=$((2 * node / cpus)),socket-id=$node")
	done
	QEMU_CMD+=(-machine 'pc,max-ram-below-4g=1G' -numa 'dist,src=0,dst=1,val=20')
}
