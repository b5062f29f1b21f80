# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
#
# What every script here shares: where things are, how they speak, what they
# need installed, how a long step is run. Sourced, never executed.
#
#   $TOP    the clone          $BUILD  products of this clone (images, logs)
#   $CACHE  shared by clones: compiler cache, source trees, object trees

set -euo pipefail

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=$TOP/build
CACHE=${GUESTMEM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/guestmem}
JOBS=${JOBS:-$(nproc)}

# A caller's make flags (make -k, make V=1, ARGS=...) are not for the kernel's make.
unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL O OUTPUT V ARCH CROSS_COMPILE
export LC_ALL=C TZ=UTC

# Everything but a script's answer goes to stderr, so that the answer can be captured.
say()  { printf '%s\n' "$*" >&2; }
step() { printf '== %s\n' "$*" >&2; }
warn() { printf 'warning: %s\n' "$*" >&2; }
die()  { printf '%s: error: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# usage SCRIPT: the comment block at the script's head, from its third line on.
usage() { sed -n '3,/^[^#]/{s/^# \{0,1\}//p;}' "$1"; }

# kbuild cannot live with these in a path.
[[ $TOP$CACHE != *[[:space:]:]* ]] || die "no blanks or colons, please: $TOP, $CACHE"

minutes() { printf '%d:%02d' $(($1 / 60)) $(($1 % 60)); }

# --- packages ---------------------------------------------------------------

PKG_KERNEL=(linux-source-6.12 gcc make flex bison bc libelf-dev libssl-dev
	    libc6-dev cpio rsync xz-utils patch ccache python3 util-linux)
PKG_GUEST=(qemu-system-x86 busybox-static cpio gzip)
PKG_TEST=(numactl)
PKG_CHECK=(sparse shellcheck perl)
PKG_SERIES=(git)

installed() {
	dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null |
		awk '$2 == "installed" { print $1 }' | sort -u
}

# need_packages NAME...: install what is missing; silent when nothing is.
need_packages() {
	local missing become=()

	command -v dpkg-query >/dev/null ||
		die "this is made for Debian 12: no dpkg-query here; install by hand: $*"
	mapfile -t missing < <(comm -13 <(installed "$@") <(printf '%s\n' "$@" | sort -u))
	((${#missing[@]})) || return 0

	if [[ $(id -u) != 0 ]]; then
		command -v sudo >/dev/null ||
			die "packages missing: ${missing[*]}; run as root, or install sudo, or install them"
		become=(sudo)
		# A password can be asked for here, not from a background job.
		sudo -v || die "packages missing, and sudo refuses: ${missing[*]}"
	fi
	mkdir -p "$BUILD/logs"
	run_logged "installing packages: ${missing[*]}" "$BUILD/logs/packages.log" \
		install_packages "${become[@]}" -- "${missing[@]}"
}

install_packages() {
	local become=()

	while [[ $1 != -- ]]; do become+=("$1"); shift; done
	shift
	export DEBIAN_FRONTEND=noninteractive
	"${become[@]}" apt-get -q update
	"${become[@]}" apt-get -q install -y --no-install-recommends \
		-o DPkg::Lock::Timeout=300 "$@"
}

# --- one build at a time ----------------------------------------------------

# Clones share the cache's trees; the lock lives as long as this process and is
# its children's, too.
lock_cache() {
	[[ -z ${GUESTMEM_LOCKED:-} ]] || return 0
	mkdir -p "$CACHE"
	exec {LOCK_FD}>"$CACHE/lock"
	if ! flock -n "$LOCK_FD"; then
		say "waiting for another build that uses $CACHE"
		flock "$LOCK_FD"
	fi
	export GUESTMEM_LOCKED=1
}

unlock_cache() {
	[[ -n ${LOCK_FD:-} ]] || return 0
	exec {LOCK_FD}>&-
	unset LOCK_FD GUESTMEM_LOCKED
}

# lock_boot DIR: one guest at a time writes its logs there.
lock_boot() {
	mkdir -p "$1"
	exec {BOOT_FD}>"$1.lock"
	flock -n "$BOOT_FD" && return 0
	say "waiting for another guest that uses $1"
	flock "$BOOT_FD"
}

# --- long steps -------------------------------------------------------------

# run_logged TITLE LOG COMMAND...: output to LOG, progress to stderr; on failure
# show where it went wrong and pass the exit status on.
run_logged() {
	local title=$1 log=$2 pid rc=0 start=$SECONDS
	shift 2

	mkdir -p "$(dirname "$log")"
	say "-- $title"
	# A process group of its own, so that Ctrl-C can end all of it.
	set -m
	("$@") >"$log" 2>&1 </dev/null &
	pid=$!
	set +m
	trap 'kill -- -"$pid" 2>/dev/null; exit 130' INT TERM
	show_progress "$pid" "$log" "$start"
	wait "$pid" || rc=$?
	trap - INT TERM
	if ((rc)); then
		say "-- $title: FAILED after $(minutes $((SECONDS - start))), the end of $log:"
		show_failure "$log"
		return "$rc"
	fi
	say "-- $title: done in $(minutes $((SECONDS - start)))"
}

# A terminal gets one line that moves every second, a log file a line in 20 s.
show_progress() {
	local pid=$1 log=$2 start=$3 every=20 last=$SECONDS text

	[[ -t 2 ]] && every=1
	while kill -0 "$pid" 2>/dev/null; do
		if ((SECONDS - last >= every)); then
			last=$SECONDS
			text="   $(minutes $((SECONDS - start)))  $(progress_text "$log")"
			if [[ -t 2 ]]; then
				printf '\r%-78.78s' "$text" >&2
			else
				printf '%s\n' "$text" >&2
			fi
		fi
		sleep 0.1
	done
	[[ -t 2 ]] && printf '\r%78s\r' '' >&2
	return 0
}

# kbuild and kselftest print "  CC      file" per object.
progress_text() {
	local count

	count=$(grep -c '^  [A-Z]' "$1" || true)
	if ((count)); then
		printf '%d steps, %s' "$count" \
			"$(grep '^  [A-Z]' "$1" | tail -n 1 | tr -s ' \t' ' ')"
	else
		tail -n 1 "$1" | tr -d '\r' | cut -c1-60
	fi
}

# With make -j the cause is rarely in the last lines: show the errors first.
show_failure() {
	grep -nE 'error:|Error [0-9]|undefined reference|FAILED|^E: ' "$1" | head -n 20 >&2 || true
	say "   ..."
	tail -n 25 "$1" >&2
}

