# check.sh NAME DIGEST [COMMAND ARGUMENT...]: see ../c/check.c.
name=$1 digest=$2
shift 2
eval "value=\${$name-} found=\${$name+yes}"
if [ -z "$found" ]; then
    echo missing
elif [ "$(printf %s "$value" | sha256sum | cut -d ' ' -f 1)" = "$digest" ]; then
    echo seen
else
    echo different
fi
if [ $# -gt 0 ]; then
    "$@"
    exit $?
fi
while read -r line; do :; done
exit 0
