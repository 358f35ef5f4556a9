# completion of ifbus for bash: source <(ifbus completion bash)
_ifbus() {
    local candidate breaks=no
    [[ $COMP_WORDBREAKS == *=* ]] && breaks=yes
    COMPREPLY=()
    while IFS= read -r candidate; do
        # where bash breaks words at =, it wants what comes after it
        [[ $breaks == yes && ${COMP_LINE:0:COMP_POINT} == *=* && $candidate == *=?* ]] && candidate=${candidate#*=}
        COMPREPLY+=("$candidate")
    done < <("${COMP_WORDS[0]}" __complete "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
    return 0
}
complete -F _ifbus ifbus
