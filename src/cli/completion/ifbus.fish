# completion of ifbus for fish: ifbus completion fish | source
complete -c ifbus -f -a '(command ifbus __complete (commandline -cp) 2>/dev/null)'
