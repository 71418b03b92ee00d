#!/bin/sh
# Let every package move, and push what came of it to a branch, with the text of its pull request in a file.
#
#     update.sh [BRANCH [FILE]]
#
# Run it on a schedule, in a checkout of the main branch. It prints the branch, or nothing where nothing moved.
set -eu
branch=${1:-hermetic/update}
text=${2:-pull-request.md}

status=0
hermetic lock --update --summary markdown --exit-code >"$text" || status=$?
case $status in
0) exit 0 ;;
1) ;; # a lock has changed
*) exit "$status" ;;
esac

git switch --quiet --force-create "$branch"
git add lockfiles
git commit --quiet --message "$(sed -n '1s/^# //p' "$text")"
git push --quiet --force origin "$branch"
echo "$branch"
