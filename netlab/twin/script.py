"""The steps as a POSIX shell script, for a host that has no netlab."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from netlab.twin.steps import (
    DAEMON_KEYS,
    DEFAULT_SETTINGS,
    FOLDER,
    FORMAT,
    MANIFEST,
    PID_FILES,
    VARIABLE,
    Step,
    steps,
)

_HEAD = """\
#!/bin/sh
# Collects what decides about this host's network, as a tar archive on standard output:
#   ssh HOST sudo sh < collect.sh > host.tar && netlab twin host.tar
# It changes nothing. It writes to a folder of its own below /tmp, and removes that. On standard error, it
# lists every command, and then names each one before it runs.
set -u
umask 077
export LC_ALL=C
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
top=$(mktemp -d) || exit 1
trap 'rm -rf "$top"' EXIT
trap 'exit 1' HUP INT TERM
mkdir "$top/{folder}" && cd "$top/{folder}" || exit 1

cat >&2 <<'LIST'
These commands are run:
{listed}
LIST
"""

_FUNCTIONS = r"""
# note KIND FILE CODE COMMAND: a line of the manifest, with the size of the file
note() {
  size=0
  [ -f "$2" ] && size=$(($(wc -c <"$2")))
  printf '%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$size" "$4" >>manifest
}
# run FILE ONLY COMMAND...: the output of a command; only lines that match ONLY, if that is not empty
run() {
  file=$1 only=$2
  shift 2
  if ! command -v "$1" >/dev/null 2>&1; then
    note absent "$file" 127 "$1"
    return
  fi
  printf '+ %s\n' "$*" | cut -c 1-200 >&2
  code=0
  "$@" >"$file.all" 2>/dev/null </dev/null || code=$?
  if [ -n "$only" ]; then
    grep -E "$only" "$file.all" >"$file"
    rm -f "$file.all"
  else
    mv "$file.all" "$file"
  fi
  note step "$file" "$code" "$1"
}
# with_words FILE ONLY WORDS COMMAND...: the words of a file are added to the command
with_words() {
  file=$1 only=$2 words=$3
  shift 3
  if [ -s "$words" ]; then
    # the file has letters and digits only
    # shellcheck disable=SC2046
    run "$file" "$only" "$@" $(cat "$words")
  else
    note skipped "$file" 0 "$1"
  fi
}
# once LINE COMMAND...: with the line in the place of {}
once() (
  line=$1
  shift
  for word; do
    shift
    [ "$word" = "{}" ] && word=$line
    set -- "$@" "$word"
  done
  "$@"
)
# for_each FILE LINES COMMAND...: once for each line of a file, in the place of {}
for_each() {
  all=$1 lines=$2
  shift 2
  if ! command -v "$1" >/dev/null 2>&1 || [ ! -s "$lines" ]; then
    note skipped "$all" 0 "$1"
    return
  fi
  printf '+ %s\n' "$*" >&2
  while read -r line; do
    printf '@ %s\n' "$line"
    once "$line" "$@" 2>/dev/null </dev/null
  done <"$lines" >"$all"
  note step "$all" 0 "$1"
}
# keep KEYS: of a JSON object on standard input, the entries whose key is in KEYS
keep() {
  awk -v keys="$1" '
    BEGIN { count = split(keys, list, " "); for (i = 1; i <= count; i++) wanted[list[i]] = 1 }
    { text = text $0 "\n" }
    END {
      printf "{"
      depth = 0; string = 0; word = ""; key = ""; value = ""; said = 0; colon = 0
      for (i = 1; i <= length(text); i++) {
        c = substr(text, i, 1)
        if (string) {
          if (colon) value = value c; else if (c != "\"" || escaped) word = word c
          if (escaped) escaped = 0
          else if (c == "\\") escaped = 1
          else if (c == "\"") string = 0
          continue
        }
        if (c == "\"") {
          string = 1
          if (colon) value = value c; else word = ""
          continue
        }
        if (c == "{" || c == "[") {
          depth++
          if (depth == 1) continue
        }
        if (c == "}" || c == "]") depth--
        if (depth == 1 && c == ":" && !colon) { colon = 1; key = word; value = ""; continue }
        if (colon && (depth == 0 || (depth == 1 && c == ","))) {
          if (key in wanted) { printf "%s\"%s\":%s", (said ? "," : ""), key, value; said = 1 }
          colon = 0
          continue
        }
        if (colon) value = value c
      }
      printf "}\n"
    }'
}
# settings PID_FILE... : dockerd's own, from its command line and the file that it names
settings() {
  pid=
  for file; do
    [ -f "$file" ] && pid=$(head -n 1 "$file")
  done
  config=/etc/docker/daemon.json
  case $pid in
    '' | *[!0-9]*) note absent dockerd-flags 1 dockerd ;;
    *)
      printf '+ read /proc/%s/cmdline\n' "$pid" >&2
      tr '\000' '\n' <"/proc/$pid/cmdline" | awk -v keys="$keys" '
        BEGIN {
          count = split(keys " config-file", list, " ")
          for (i = 1; i <= count; i++) wanted[list[i]] = 1
        }
        function take(name, value) { sub(/^--?/, "", name); if (name in wanted) print name "=" value }
        flag != "" { if ($0 ~ /^-/) take(flag, "true"); else { take(flag, $0); flag = ""; next } flag = "" }
        /^--?[a-z0-9-]+=/ { at = index($0, "="); take(substr($0, 1, at - 1), substr($0, at + 1)); next }
        /^--?[a-z0-9-]+$/ { flag = $0 }
        END { if (flag != "") take(flag, "true") }' >dockerd-flags
      tr '\000' '\n' <"/proc/$pid/environ" | grep "^$variable=" >>dockerd-flags
      note step dockerd-flags 0 dockerd
      other=$(sed -n 's/^config-file=//p' dockerd-flags | tail -n 1)
      [ -n "$other" ] && config=$other
      ;;
  esac
  if [ -f "$config" ]; then
    printf '+ read %s\n' "$config" >&2
    keep "$keys" <"$config" >daemon.json
    note step daemon.json 0 cat
  else
    note absent daemon.json 1 "$config"
  fi
}
"""

_TAIL = """
printf 'end\\n' >>{manifest}
cd "$top" && tar -cf - {folder}
"""


def script(version: str) -> str:
    """The script; ``version`` is netlab's own."""
    listed = listing()
    lines = [_HEAD.replace("{folder}", FOLDER).replace("{listed}", "\n".join(f"  {line}" for line in listed))]
    lines.append(_FUNCTIONS)
    lines.append(f"keys={shlex.quote(' '.join(DAEMON_KEYS))}")
    lines.append(f"variable={VARIABLE}")
    lines.append(f"printf 'netlab-collection\\t{FORMAT}\\nmade-by\\tscript\\t{version}\\n' >{MANIFEST}")
    lines += map(_call, steps())
    lines.append(f"settings {' '.join(PID_FILES)}")
    lines.append(_TAIL.replace("{folder}", FOLDER).replace("{manifest}", MANIFEST))
    return "\n".join(lines)


def listing() -> Iterator[str]:
    """Every command for people to read, before any is run."""
    yield from map(_listed, steps())
    of_dockerd = f"dockerd's command line, {VARIABLE} of its environment"
    yield f"read {' or '.join(PID_FILES)}, {of_dockerd}, and {DEFAULT_SETTINGS} or its own file"


def _listed(step: Step) -> str:
    each = f"  (for each of {step.each})" if step.each else ""
    exists = f"  (if {step.exists} exists)" if step.exists else ""
    return f"{step.text}{each}{exists}"


def _call(step: Step) -> str:
    command = " ".join(map(shlex.quote, step.argv))
    if step.each:
        return f"for_each {step.file} {step.each} {command}"
    only = shlex.quote(step.only)
    call = f"run {step.file} {only} {command}"
    if step.words:
        call = f"with_words {step.file} {only} {step.words} {command}"
    if step.exists:
        return f"if [ -e {step.exists} ]; then {call}; else note skipped {step.file} 0 {step.argv[0]}; fi"
    return call
