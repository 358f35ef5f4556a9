#compdef ifbus
# completion of ifbus for zsh: source <(ifbus completion zsh)
_ifbus() {
    local -a found keys
    found=("${(@f)$("${words[1]}" __complete "${(j: :)words[1,CURRENT]}" 2>/dev/null)}")
    found=(${found:#})
    keys=(${(M)found:#*=})
    found=(${found:#*=})
    (( ${#keys} )) && compadd -S '' -- $keys
    (( ${#found} )) && compadd -- $found
    return 0
}
(( $+functions[compdef] )) && compdef _ifbus ifbus
