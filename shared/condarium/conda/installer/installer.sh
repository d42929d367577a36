#!/bin/sh
# Unpacks the environment behind this text, and makes it ready where it lies. Needs sh, tar and gzip; no network, no
# Python. `sh THIS_FILE -h` lists the options.

LC_ALL=C
export LC_ALL
unset CDPATH GZIP TAR_OPTIONS 2>/dev/null

header_sha256='@header_sha256@'
header_bytes=@header_bytes@
table_line=@table_line@
table_lines=@table_lines@
payload_sha256='@payload_sha256@'
payload_bytes=@payload_bytes@
unpacked_kb=@unpacked_kb@
longest_prefix=@longest_prefix@
platform='@platform@'

usage() {
    cat <<EOF
usage: $1 [-b] [-p PREFIX] [-f | -u] [-h]

Installs a conda environment for $platform ($unpacked_kb kB).

-b          batch mode: asks nothing
-p PREFIX   where to, by default $2
-f          PREFIX may exist and hold other files
-u          replace the environment at PREFIX; it is put back when that fails
-h          this text
-i -k -m -s accepted, as constructor's installers have them: no scripts of packages are run, nothing is cached
EOF
}

say() { printf '%s\n' "$*"; }

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

sha256() {
    if command -v sha256sum >/dev/null 2>&1; then sha256sum
    elif command -v shasum >/dev/null 2>&1; then shasum -a 256
    elif command -v openssl >/dev/null 2>&1; then openssl dgst -sha256 -r
    else cat >/dev/null; echo none; fi | { read -r digest _; printf '%s' "$digest"; }
}

header() { head -c "$header_bytes" "$self"; }

payload() { tail -c "+$((header_bytes + 1))" "$self"; }

check_tools() {
    for tool in tar gzip sed dd head tail wc cat mkdir rm mv; do
        command -v "$tool" >/dev/null 2>&1 || die "the program $tool is missing"
    done
}

check_self() {
    [ -f "$self" ] && [ -r "$self" ] || die "save this installer as a file and run that: it reads itself"
    size=$(($(wc -c <"$self")))
    [ "$size" -eq $((header_bytes + payload_bytes)) ] ||
        die "$self has $size bytes, not $((header_bytes + payload_bytes)): it is not whole; fetch it again"
    found=$(header | sed "s/^header_sha256='.*/header_sha256=''/" | sha256)
    if [ "$found" = none ]; then
        payload | gzip -t 2>/dev/null || die "$self is damaged; fetch it again"
        return
    fi
    [ "$found" = "$header_sha256" ] || die "$self is damaged; fetch it again"
    [ "$(payload | sha256)" = "$payload_sha256" ] || die "$self is damaged; fetch it again"
}

check_platform() {
    case $platform in
        linux-*) [ "$(uname -s)" = Linux ] ;;
        osx-*) [ "$(uname -s)" = Darwin ] ;;
    esac || die "this environment is for $platform, and this is $(uname -s)"
    case $platform in
        *-64) machines='x86_64 amd64' ;;
        *-aarch64 | *-arm64) machines='aarch64 arm64' ;;
        *) return ;;
    esac
    machine=$(uname -m)
    case " $machines " in
        *" $machine "*) ;;
        *) say "warning: this environment is for $platform, and this machine is $machine" >&2 ;;
    esac
}

absolute() {
    case $prefix in
        /*) ;;
        *) prefix=$(pwd)/$prefix ;;
    esac
    while case $prefix in *?/) true ;; *) false ;; esac; do prefix=${prefix%/}; done
}

check_prefix() {
    newline='
'
    case $prefix in
        / | *"$newline"*) die "PREFIX cannot be '$prefix'" ;;
        */../* | */.. | */./* | */.) die "PREFIX must be written without . and .., not as $prefix" ;;
    esac
    [ "${#prefix}" -le "$longest_prefix" ] ||
        die "$prefix has ${#prefix} bytes; in the files of this environment there is room for $longest_prefix"
    if [ "$mode" = update ]; then
        [ -f "$prefix/conda-meta/history" ] || die "there is no environment at $prefix to be replaced"
    elif [ -e "$prefix" ] || [ -L "$prefix" ]; then
        [ -d "$prefix" ] || die "$prefix exists and is no directory"
        if [ -n "$(ls -A "$prefix" 2>/dev/null)" ] && [ "$mode" != force ]; then
            die "$prefix exists and is not empty; -u replaces an environment, -f installs among what is there"
        fi
    fi
    place=$prefix
    while [ ! -d "$place" ]; do place=$(dirname "$place"); done
    [ -w "$place" ] || die "$place cannot be written to"
    free=$(df -Pk "$place" 2>/dev/null | { read -r _; read -r _ _ _ kb _; printf '%s' "$kb"; })
    case $free in
        '' | *[!0-9]*) ;;
        *) [ "$free" -ge "$unpacked_kb" ] || die "$place has $free kB free; $unpacked_kb kB are needed" ;;
    esac
}

ask_prefix() {
    [ -t 0 ] || die "nobody can be asked for PREFIX: say -b -p PREFIX"
    printf 'Install the environment for %s to\n\n    %s\n\nENTER to go on, another directory, or CTRL-C to leave: ' \
        "$platform" "$prefix"
    read -r answer || die "no answer"
    [ -z "$answer" ] || prefix=$answer
}

# What was begun is taken back, whatever ends it.
undo() {
    status=$?
    trap - EXIT HUP INT TERM
    [ -n "$begun" ] || exit "$status"
    if [ -n "$made" ]; then
        rm -rf "$prefix"
        while [ "$made" != "$prefix" ] && [ -n "$made" ]; do
            prefix=$(dirname "$prefix")
            rmdir "$prefix" 2>/dev/null || break
        done
        [ -z "$aside" ] || mv "$aside" "$original"
    elif [ -n "$emptied" ]; then
        find "$prefix" -mindepth 1 -maxdepth 1 -exec rm -rf {} +
    else
        rm -rf "$work"
        say "what was there before is there, and some of the new files: $prefix was not empty" >&2
    fi
    [ "$status" -ne 0 ] || status=1
    exit "$status"
}

begin() {
    original=$prefix aside='' made='' emptied=''
    trap '' HUP INT TERM
    trap undo EXIT
    if [ "$mode" = update ]; then
        aside=$prefix.replaced.$$
        mv "$prefix" "$aside" || die "$prefix cannot be moved aside"
        begun=yes made=$prefix
    elif [ ! -e "$prefix" ]; then
        begun=yes made=$prefix
        while [ ! -e "$(dirname "$made")" ]; do made=$(dirname "$made"); done
    else
        begun=yes
        [ -n "$(ls -A "$prefix")" ] || emptied=yes
    fi
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    mkdir -p "$prefix" || die "$prefix cannot be made"
    work=$prefix/.condarium-installing
    mkdir -p "$work" || die "$work cannot be made"
}

unpack() {
    payload | gzip -dc | (cd "$prefix" && tar -xof -) || die "the files could not be unpacked to $prefix"
}

# For sed: the placeholder as a pattern, the prefix as its replacement.
rules() {
    pattern=$(printf '%s' "$1" | sed 's/[][\.*^$|]/\\&/g')
    replacement=$(printf '%s' "$prefix" | sed 's/[\&|]/\\&/g')
    printf 's|%s|%s|g\n' "$pattern" "$replacement" >"$work/rules"
    # A first line that the kernel would cut at a space or at its end asks env instead.
    printf '1s|^#! *%s\\(/[^ ]*\\)*/\\([^ /]*\\)|#!/usr/bin/env \\2|\n' "$pattern" >"$work/by-env"
    cat "$work/rules" >>"$work/by-env"
}

replace_text() {
    sed -f "$1" <"$prefix/$2" >"$work/new" && cat "$work/new" >"$prefix/$2" || die "$prefix/$2 cannot be changed"
}

# The strings of a file that hold the placeholder keep their length: zeros fill what the prefix is shorter.
replace_strings() {
    file=$prefix/$1 at=$2 length=$3
    # Some seds end what they write with a line break: all get one.
    { tail -c "+$((at + 1))" "$file" 2>/dev/null | head -c "$length" && echo; } | sed -f "$work/rules" >"$work/line"
    size=$(($(wc -c <"$work/line") - 1))
    [ "$size" -le "$length" ] || die "$file has no room for $prefix"
    { head -c "$size" "$work/line" && head -c "$((length - size))" /dev/zero; } >"$work/new"
    dd if="$work/new" of="$file" bs=4096 seek="$at" oflag=seek_bytes conv=notrunc 2>/dev/null ||
        dd if="$work/new" of="$file" bs=1 seek="$at" conv=notrunc 2>/dev/null || die "$file cannot be changed"
}

signed_again() {
    [ "$platform" != osx-arm64 ] || codesign -s - -f "$prefix/$1" >/dev/null 2>&1 || true
}

relocate() {
    header | tail -n "+$table_line" | head -n "$table_lines" >"$work/table"
    patched=''
    while IFS= read -r line; do
        kind=${line%% *} rest=${line#* }
        case $kind in
            P) rules "$rest" ;;
            T) replace_text "$work/rules" "$rest" ;;
            H)
                limit=${rest%% *} rest=${rest#* }
                case $prefix in *' '*) limit=0 ;; esac
                if [ "${#prefix}" -gt "$limit" ]; then chosen=by-env; else chosen=rules; fi
                replace_text "$work/$chosen" "$rest"
                ;;
            B)
                at=${rest%% *} rest=${rest#* }
                length=${rest%% *} rest=${rest#* }
                if [ -n "$patched" ] && [ "$patched" != "$rest" ]; then signed_again "$patched"; fi
                patched=$rest
                replace_strings "$rest" "$at" "$length"
                ;;
        esac
    done <"$work/table" || exit 1
    if [ -n "$patched" ]; then signed_again "$patched"; fi
}

main() {
    self=$0
    name=$(basename "$self")
    prefix=${HOME:-/opt}/${name%.sh}
    batch='' mode='' begun=''
    while getopts bp:fuhikms option; do
        case $option in
            b) batch=yes ;;
            p) prefix=$OPTARG ;;
            f) mode=force ;;
            u) mode=update ;;
            h)
                usage "$name" "$prefix"
                exit 0
                ;;
            i | k | m | s) ;;
            *)
                usage "$name" "$prefix" >&2
                exit 2
                ;;
        esac
    done
    shift $((OPTIND - 1))
    if [ $# -gt 0 ]; then
        usage "$name" "$prefix" >&2
        exit 2
    fi
    check_tools
    check_self
    check_platform
    [ -n "$batch" ] || ask_prefix
    absolute
    check_prefix
    say "PREFIX=$prefix"
    begin
    unpack
    relocate
    rm -rf "$work"
    begun=''
    [ -z "$aside" ] || rm -rf "$aside"
    say "installed; use it with: . \"$prefix/bin/activate\""
    exit 0
}

main "$@"
