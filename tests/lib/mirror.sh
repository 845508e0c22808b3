# Where this machine gets its packages from: to be read with `.`, after common.sh.
# shellcheck shell=sh

# mirror_sources RELEASE: the machine's own entries for Debian, whatever way they are written down, for that release.
mirror_sources() {
    # shellcheck source=/dev/null
    here=$(. /etc/os-release && echo "$VERSION_CODENAME")
    # shellcheck disable=SC2016 # apt-get fills these in
    apt-get indextargets --format '$(ORIGIN) $(COMPONENT) $(REPO_URI) $(CODENAME)' 'Identifier: Packages' |
        sed -n "s|^Debian main \([^ ]*\) $here\(.*\)|deb \1 $1\2 main|p" | sort -u
}

# mirror_check RELEASE: there are some, perhaps after looking for them; else this is the end.
mirror_check() {
    [ -n "$(mirror_sources "$1")" ] || as_root apt-get -qq -o DPkg::Lock::Timeout=300 update
    [ -n "$(mirror_sources "$1")" ] || die 'no source of packages here is that of this Debian: see apt-get indextargets'
}

# How this machine gets at packages: proxies and the like. (The rest of its settings is not for others.)
mirror_options() {
    apt-config dump | grep -E '^Acquire::(https?|ftp|Check-[A-Za-z-]*|Retries|ForceIPv[46])[: ]' || :
}
