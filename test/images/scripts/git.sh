# git: init, commit, branch, merge, clone, gc.
# needs: git
d=$(mktemp -d /tmp/image.XXXXXX) && cd "$d" || exit 1
trap "cd /; rm -rf $d" EXIT
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b GIT_AUTHOR_DATE='2001-01-01T00:00:00Z' GIT_COMMITTER_DATE='2001-01-01T00:00:00Z' HOME=$d
git config --global init.defaultBranch main
git init -q r && cd r && for i in $(seq 100); do echo $i > f$i; done && git add . && git commit -qm first && git rev-parse HEAD
git checkout -qb b && echo x > f1 && git commit -qam change && git checkout -q main && echo y > f2 && git commit -qam other && git merge -q -m merged b && git log --oneline --graph | cat
cd .. && git clone -q r c && git -C c log -1 --format=%H && git clone -q --bare r bare.git && cd c && echo z >> f3 && git diff --stat | cat && git stash -q && git status --short && git stash pop -q && git status --short
git gc -q && git fsck 2>&1 | grep -v '^notice' ; git count-objects -v | grep packs
git remote set-url origin ../bare.git && git commit -qam pushed && git push -q origin main && git -C ../bare.git log -1 --format=%s
git archive HEAD | tar tf - | wc -l && git grep -c 42 | head -3 && git blame f3 | wc -l && git bisect start -q HEAD HEAD~1 >/dev/null 2>&1; git rev-list --count HEAD
