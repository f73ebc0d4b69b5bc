# SPDX-License-Identifier: Apache-2.0
#
# From the package index of Debian to a task: which packages does a package depend on, by its name
# and its short description? Reads the index on standard input, writes fastText's format:
#
#   apt-cache dumpavail | awk -v out=FOLDER -f examples.awk -f debian-packages.awk
#
#   FOLDER/train.txt   a line for each package:   __label__libc6 __label__zlib1g the name and the description
#   FOLDER/test.txt    the same of the packages of every tenth source package: held out, so that no
#                      sibling of them is in train.txt
#
# Labels are the names in Depends, of alternatives the first, that at least 3 packages for training
# have. Text is in lower case, cut into runs of letters and digits.
/^Package: / {
  package = source = $2
  depends = ""
}
/^Source: / { source = $2 }
/^Depends: / { depends = substr($0, 10) }
/^Description(-en)?: / { description = substr($0, index($0, ": ") + 2) }
/^$/ { keep() }
END {
  keep()
  for (p = 1; p <= packages; p++) {
    write(p)
  }
}

function keep(   n, part, i, label, seen, held) {
  if (package == "" || package in known) {
    return
  }
  known[package]
  held = hash(source) % 10 == 0
  packages++
  text[packages] = words(package " " description)
  isHeld[packages] = held
  n = split(depends, part, ",")
  for (i = 1; i <= n; i++) {
    label = part[i]
    sub(/^ +/, "", label)
    sub(/[ (:|].*/, "", label)
    if (label != "" && !(label in seen)) {
      seen[label]
      labels[packages] = labels[packages] " " label
      count[label] += !held
    }
  }
  package = ""
}

function write(p,   all) {
  all = frequent(labels[p], count)
  if (all != "") {
    shuffled(all text[p], all text[p], isHeld[p] ? "test" : "train")
  }
}
