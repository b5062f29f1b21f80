# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Programs for the guest, static, built from the staged tree against its own
# headers. Sourced after lib.sh and tree.sh. Each builder keeps a key beside its
# product and does nothing when the key is still right.

USER_OUT=$BUILD/user

# The base's own tests of private memory, run unmodified.
BASE_TESTS=(guest_memfd_test set_memory_region_test pre_fault_memory_test
	    x86_64/private_mem_conversions_test x86_64/private_mem_kvm_exits_test)

# user_key REGEX: over the overlay and the patches that touch paths like REGEX.
user_key() {
	{
		echo "$BASE_ID"
		{
			overlay_files | grep -E -- "$1" || true
			series_patches | while IFS= read -r p; do
				patch_touches "$TOP/patches/$p" | grep -qE -- "$1" && echo "patches/$p"
			done || true
			echo scripts/userspace.sh
		} | hash_files
	} | sha256sum | cut -c1-40
}

# unless_current NAME KEY COMMAND...: run COMMAND and remember KEY if it succeeds.
unless_current() {
	local name=$1 key=$2
	shift 2

	[[ $key != "$(cat "$USER_OUT/$name.key" 2>/dev/null)" ]] || return 0
	stage_tree
	mkdir -p "$USER_OUT"
	rm -f "$USER_OUT/$name.key"
	"$@"
	echo "$key" >"$USER_OUT/$name.key"
}

# The patched tree's user API headers.
build_headers() {
	local out=$LINUX/headers

	KHDR="-isystem $USER_OUT/include"
	unless_current include "$(user_key 'uapi/')" install_headers "$out"
}

install_headers() {
	mkdir -p "$1"
	run_logged "user API headers" "$BUILD/logs/headers.log" kmake "$1" -j"$JOBS" \
		headers_install INSTALL_HDR_PATH="$USER_OUT"
}

build_vmm() {
	build_headers
	unless_current vmm "$(user_key '^tools/guestmem/|uapi/')" make_vmm
}

make_vmm() {
	[[ -e $SRC/tools/guestmem/Makefile ]] || die "there is no tools/guestmem/Makefile"
	rm -rf "$USER_OUT/vmm"
	mkdir -p "$USER_OUT/vmm"
	run_logged "tools/guestmem" "$BUILD/logs/vmm.log" \
		make --no-print-directory -C "$SRC/tools/guestmem" -j"$JOBS" \
		OUTPUT="$USER_OUT/vmm/" KHDR_INCLUDES="$KHDR"
}

# selftests DIR ARGS...: make in one selftest directory.
selftests() {
	local name=$1
	shift
	make --no-print-directory -C "$SRC/tools/testing/selftests/$name" \
		OUTPUT="$USER_OUT/selftests/$name" KHDR_INCLUDES="$KHDR" USERLDFLAGS=-static "$@"
}

build_selftests() {
	build_headers
	unless_current guestmem "$(user_key '^tools/testing/selftests/guestmem/|uapi/')" make_guestmem_tests
	[[ ! -e $USER_OUT/selftests/guestmem/broken ]] || rm -f "$USER_OUT/guestmem.key"
	unless_current kvm "$(user_key '^tools/(testing/selftests/kvm|include|arch|lib)/|uapi/')" make_base_tests
}

make_guestmem_tests() {
	local out=$USER_OUT/selftests/guestmem name

	rm -rf "$out"
	mkdir -p "$out/install"
	if [[ ! -e $SRC/tools/testing/selftests/guestmem/Makefile ]]; then
		warn "there are no guestmem selftests"
		: >"$out/list"
		return
	fi
	selftests guestmem -s emit_tests COLLECTION=guestmem | sed -n 's/^guestmem://p' >"$out/list"
	run_logged "guestmem selftests" "$BUILD/logs/selftests-guestmem.log" \
		selftests guestmem -j"$JOBS" -k install INSTALL_PATH="$out/install" && return
	# What does not compile is missing from the guest and fails there; the rest runs.
	: >"$out/broken"
	while IFS= read -r name; do
		cp "$out/$name" "$out/install/" 2>/dev/null ||
			cp "$SRC/tools/testing/selftests/guestmem/$name" "$out/install/" 2>/dev/null || true
	done <"$out/list"
}

make_base_tests() {
	local out=$USER_OUT/selftests/kvm

	mkdir -p "$out"
	run_logged "the base's KVM selftests" "$BUILD/logs/selftests-kvm.log" \
		selftests kvm -j"$JOBS" "${BASE_TESTS[@]/#/$out/}"
}
