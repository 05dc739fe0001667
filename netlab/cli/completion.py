"""``netlab completion SHELL``: a completion script, which gets its suggestions from netlab."""

from __future__ import annotations

import argparse

BASH = """\
# bash completion for netlab: source <(netlab completion bash)
_netlab() {
    local IFS=$'\\n' line first=1
    COMPREPLY=()
    while read -r line; do
        line=${line%%$'\\t'*}
        case $first$line in
            1:files) compopt -o default ;;
            1:commands) COMPREPLY+=($(compgen -c -- "${COMP_WORDS[COMP_CWORD]}")) ;;
            *) COMPREPLY+=("$line") ;;
        esac
        first=
    done < <(netlab completion --words "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _netlab netlab
"""

ZSH = """\
#compdef netlab
# zsh completion for netlab: source <(netlab completion zsh), or a file _netlab in $fpath
_netlab() {
    local line; local -a found
    for line in ${(f)"$(netlab completion --words ${words[2,CURRENT]} 2>/dev/null)"}; do
        case $line in
            :files*) _files ;;
            :commands*) _command_names ;;
            *) found+=("${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}") ;;
        esac
    done
    (( $#found )) && _describe netlab found
}
if [ "$funcstack[1]" = _netlab ]; then _netlab "$@"; else compdef _netlab netlab; fi
"""

FISH = """\
# fish completion for netlab: netlab completion fish | source
function __netlab_complete
    set -l words (commandline -opc) (commandline -ct)
    for line in (netlab completion --words $words[2..] 2>/dev/null)
        switch $line
            case ':files*'
                __fish_complete_path (commandline -ct)
            case ':commands*'
                __fish_complete_command
            case '*'
                echo $line
        end
    end
end
complete -c netlab -f -a '(__netlab_complete)'
"""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def run(args: argparse.Namespace) -> int:
    """Print a script; returns 0."""
    print(SCRIPTS[args.shell], end="")
    return 0
