# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
#
# The kernel tree: the base package, the overlay, the series, and how the three
# become $SRC. Sourced after lib.sh.
#
#   $LINUX/src         base + patches + overlay; only files whose content changes
#                      are written, so that make rebuilds no more than it must
#   $LINUX/pristine    the base's version of every file a step ever changed
#   $LINUX/base.files  what the base consists of
#   $LINUX/staged      what the last staging wrote
#   $LINUX/normal ...  one object tree per flavour

FLAVOURS_ALL=(normal debug icount)

# --- base -------------------------------------------------------------------

# base_value KEY: from patches/BASE.
base_value() { sed -n "s/^$1=//p" "$TOP/patches/BASE"; }

# The package's version names the cache entry: an update is a new tree.
locate_base() {
	[[ -z ${LINUX:-} ]] || return 0
	need_packages "${PKG_KERNEL[@]}"
	BASE_ID=$(dpkg-query -W -f '${Version}' "$(base_value PACKAGE)")
	LINUX=$CACHE/linux-${BASE_ID//[^A-Za-z0-9.+-]/-}
	SRC=$LINUX/src
}

makefile_value() { sed -n "s/^$1 = *//p" "$2/Makefile" | head -n 1; }

verify_base() {
	local dir=$1 major minor sub

	major=$(makefile_value VERSION "$dir")
	minor=$(makefile_value PATCHLEVEL "$dir")
	sub=$(makefile_value SUBLEVEL "$dir")
	if [[ $major.$minor != "$(base_value VERSION).$(base_value PATCHLEVEL)" ]] ||
	   ((sub < $(base_value SUBLEVEL_MIN))); then
		die "the base is $major.$minor.$sub; patches/BASE accepts" \
		    "$(base_value VERSION).$(base_value PATCHLEVEL).$(base_value SUBLEVEL_MIN) and later point releases"
	fi
}

# Under the lock. Unpacked beside its final place: an interrupted run leaves no half tree.
unpack_base() {
	local tar

	[[ ! -e $LINUX/base.files ]] || return 0
	tar=$(base_value TARBALL)
	[[ -e $tar ]] || die "$(base_value PACKAGE) is installed, but $tar is not there"
	rm -rf "$LINUX"
	mkdir -p "$LINUX/src.new"
	run_logged "unpacking $(base_value PACKAGE) $BASE_ID" "$LINUX/unpack.log" \
		tar -C "$LINUX/src.new" --strip-components=1 -xf "$tar"
	verify_base "$LINUX/src.new"
	mv "$LINUX/src.new" "$SRC"
	(cd "$SRC" && find . -type f -o -type l | sed 's,^\./,,' | sort) >"$LINUX/base.files.new"
	mv "$LINUX/base.files.new" "$LINUX/base.files"
}

in_base() { grep -qxF -- "$1" "$LINUX/base.files"; }

# pristine FILE: the path of the base's own version, whatever is staged now.
pristine() {
	if [[ ! -e $LINUX/pristine/$1 ]]; then
		mkdir -p "$LINUX/pristine/$(dirname "$1")"
		cp -p "$SRC/$1" "$LINUX/pristine/$1.tmp"
		mv "$LINUX/pristine/$1.tmp" "$LINUX/pristine/$1"
	fi
	printf '%s\n' "$LINUX/pristine/$1"
}

# --- overlay ----------------------------------------------------------------

# The one file that is replaced whole rather than patched: constants only.
OVERLAY_REPLACES=include/uapi/linux/memfd.h

# overlay_files: every file, sorted. Ours is what lies in a directory that is
# not the project's side and is not ignored; needs no git.
overlay_files() {
	(
		cd "$TOP" || exit
		if [[ -e .git ]] && git rev-parse --git-dir >/dev/null 2>&1; then
			git ls-files -co --exclude-standard
		else
			find . -mindepth 2 \( -type f -o -type l \) | sed 's,^\./,,' | not_ignored
		fi | { grep -vE '^(patches|configs|scripts|build|LICENSES|\.[^/]*)/|^[^/]*$|/\.[^/]*\.sw.$|~$' || true; } |
			while IFS= read -r f; do [[ ! -e $f ]] || printf '%s\n' "$f"; done | sort -u
	)
}

# Enough of .gitignore for what is in ours: names, globs, paths from the top.
not_ignored() {
	local f p patterns

	mapfile -t patterns < <(grep -vE '^(#|!|$)' .gitignore 2>/dev/null)
	while IFS= read -r f; do
		for p in "${patterns[@]}"; do
			# shellcheck disable=SC2254 # patterns are meant to match as globs
			case $p in
			/*) case /$f in $p|$p*) continue 2 ;; esac ;;
			*)  case /$f in */$p) continue 2 ;; esac ;;
			esac
		done
		printf '%s\n' "$f"
	done
}

# --- series -----------------------------------------------------------------

# series_lines: "FILE overlay-path..." without comments.
series_lines() { sed -e 's/#.*//' -e 's/[[:space:]]*$//' -e '/^$/d' "$TOP/patches/series" 2>/dev/null || true; }

series_steps() { series_lines | awk '{ print $1 }'; }

series_patches() { series_steps | grep '\.patch$' || true; }

# step_files STEP: the overlay files which that step adds.
step_files() {
	local paths

	read -ra paths < <(series_lines | awk -v s="$1" '$1 == s { $1 = ""; print }')
	((${#paths[@]})) || return 0
	overlay_files | match_paths "${paths[@]}"
}

# match_paths PATH...: of the files on stdin, those that a path names.
match_paths() {
	local f p

	while IFS= read -r f; do
		for p in "$@"; do
			p=${p%/}
			# shellcheck disable=SC2254 # a path may be a glob
			case $f in $p|$p/*) printf '%s\n' "$f"; break ;; esac
		done
	done
}

# patch_touches PATCH...: base files that patches change.
patch_touches() { sed -n 's,^+++ b/\([^[:space:]]*\).*,\1,p' "$@" | sort -u; }

# A step's file is a mail: headers, an empty line, the changelog, "---" or a diff.
mail_subject() {
	awk '/^$/ { exit } /^Subject:/ { on = 1; sub(/^Subject: */, ""); sub(/^\[[^]]*\] */, ""); s = $0; next }
	     /^[ \t]/ { if (on) s = s $0; next } { on = 0 } END { print s }' "$1"
}

mail_body() { awk 'body && (/^---( |$)/ || /^diff --git /) { exit } body { print } /^$/ { body = 1 }' "$1"; }

# apply_patch PATCH DIR: no fuzz; a hunk that does not fit is named.
apply_patch() {
	local out

	if grep -nE '^(---|\+\+\+) /dev/null' "$1" >&2; then
		die "patches/${1##*/} creates or deletes a file; new files belong to the overlay"
	fi
	out=$(patch -p1 -F0 -N --no-backup-if-mismatch -r - -d "$2" <"$1" 2>&1) && return 0
	say "patches/${1##*/} does not apply to $(base_value PACKAGE) $BASE_ID:"
	awk '/^(checking|patching) file /{ f = $3 }
	     /FAILED|No file to patch|malformed|[Rr]eversed|ignored/{ print "   " f ": " $0 }' <<<"$out" >&2
	return 1
}

# --- hashes -----------------------------------------------------------------

# hash_files: one hash over names, modes and contents of the files on stdin.
hash_files() {
	local files

	mapfile -t files
	((${#files[@]})) || { echo none; return; }
	(cd "$TOP" && { stat -c '%a %n' "${files[@]}"; sha256sum "${files[@]}"; }) |
		sha256sum | cut -c1-40
}

# What a staged tree depends on.
stage_key() {
	{
		echo "$BASE_ID"
		series_lines
		{ series_patches | sed 's,^,patches/,'; overlay_files; } | hash_files
	} | sha256sum | cut -c1-40
}

fragments() {
	case $1 in
	normal) echo configs/base.config ;;
	*)      echo configs/base.config; echo "configs/$1.config" ;;
	esac
}

# What a kernel depends on: not the user-space side, whose changes are frequent.
kernel_key() {
	{
		echo "$BASE_ID"
		{
			series_patches | sed 's,^,patches/,'
			overlay_files | grep -vE '^(Documentation|tools)/' || true
			fragments "$1"
			echo scripts/kernel
		} | hash_files
	} | sha256sum | cut -c1-40
}

# --- staging ----------------------------------------------------------------

warn_unlisted() {
	local p

	for p in "$TOP"/patches/*.patch; do
		[[ -e $p ]] || continue
		series_steps | grep -qxF "${p##*/}" ||
			warn "patches/${p##*/} is not in patches/series and is not applied"
	done
}

# compute_staged DIR: put every file that differs from the base under DIR.
compute_staged() {
	local dir=$1 f p

	while IFS= read -r f; do
		in_base "$f" || die "a patch changes $f, which is not in the base"
		mkdir -p "$dir/$(dirname "$f")"
		cp "$(pristine "$f")" "$dir/$f"
	done < <(series_patches | while IFS= read -r p; do patch_touches "$TOP/patches/$p"; done | sort -u)

	while IFS= read -r p; do
		apply_patch "$TOP/patches/$p" "$dir" || die "the series stops at $p"
	done < <(series_patches)

	while IFS= read -r f; do
		[[ ! -e $dir/$f ]] || die "$f is changed by a patch and is in the overlay: one owner per path"
		! in_base "$f" || [[ $f == "$OVERLAY_REPLACES" ]] ||
			die "overlay file $f exists in the base: make it a patch"
		if in_base "$f"; then pristine "$f" >/dev/null; fi
	done < <(overlay_files)
	(cd "$TOP" && rsync -a --files-from=<(overlay_files) ./ "$dir/")
}

# unstage LIST: files staged before and no longer: back to the base, or gone.
unstage() {
	local f

	while IFS= read -r f; do
		if in_base "$f"; then
			rsync -c "$LINUX/pristine/$f" "$SRC/$f"
		else
			rm -f "$SRC/$f"
			rmdir -p --ignore-fail-on-non-empty "$SRC/$(dirname "$f")" 2>/dev/null || true
		fi
	done
}

# stage_tree: make $SRC the base + series + overlay. Takes the lock; a no-op
# when nothing changed.
stage_tree() {
	local key dir=$CACHE/stage

	locate_base
	lock_cache
	unpack_base
	key=$(stage_key)
	[[ $key != "$(cat "$LINUX/staged.key" 2>/dev/null)" ]] || return 0
	warn_unlisted
	rm -rf "$dir"
	mkdir -p "$dir"
	compute_staged "$dir"
	(cd "$dir" && find . -type f -o -type l | sed 's,^\./,,' | sort) >"$LINUX/staged.new"
	rm -f "$LINUX/staged.key"
	# No -t: a file that changes must look new to make, one that does not must not.
	rsync -cplr --files-from="$LINUX/staged.new" "$dir/" "$SRC/"
	if [[ -e $LINUX/staged ]]; then
		comm -23 "$LINUX/staged" "$LINUX/staged.new" | unstage
	fi
	mv "$LINUX/staged.new" "$LINUX/staged"
	echo "$key" >"$LINUX/staged.key"
	rm -rf "$dir"
}

# --- make --------------------------------------------------------------------

# kmake OUT ARGS...: the kernel's make with everything that makes output repeatable.
kmake() {
	local out=$1
	shift
	CCACHE_DIR=$CACHE/ccache CCACHE_BASEDIR=$CACHE CCACHE_NOHASHDIR=1 \
	CCACHE_COMPILERCHECK=content CCACHE_MAXSIZE=${CCACHE_MAXSIZE:-5G} \
	make --no-print-directory -C "$SRC" O="$out" CC="ccache gcc" HOSTCC="ccache gcc" \
		KBUILD_BUILD_TIMESTAMP='2026-01-01 00:00:00 UTC' KBUILD_BUILD_VERSION=1 \
		KBUILD_BUILD_USER=guestmem KBUILD_BUILD_HOST=guestmem "$@"
}
