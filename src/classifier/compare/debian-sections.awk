# SPDX-License-Identifier: Apache-2.0
#
# From the index of files of Debian to a task: in which section is a package, by its files? Reads
# the package index and then that of files, writes fastText's format:
#
#   (apt-cache dumpavail; zcat CONTENTS) | awk -v out=FOLDER -f examples.awk -f debian-sections.awk
#
#   FOLDER/train.txt   a line for each package:   __label__libs the first 60 paths of its files
#   FOLDER/test.txt    the same of the packages of every tenth source package: held out, so that no
#                      sibling of them is in train.txt
#
# Labels are the sections of at least 3 packages for training. Text is in lower case, cut into runs
# of letters and digits.
/^Package: / { package = source[$2] = $2 }
/^Source: / { source[package] = $2 }

/^[^ ]*\/[^ ]* +[^ ]+\/[^ ]+$/ {
  n = split($NF, part, ",")
  for (i = 1; i <= n; i++) {
    slash = match(part[i], /\/[^\/]*$/)
    name = substr(part[i], slash + 1)
    if (!(name in source) || ++files[name] > 60) {
      continue
    }
    if (files[name] == 1) {
      section[name] = substr(part[i], 1, slash - 1)
      isHeld[name] = hash(source[name]) % 10 == 0
      count[section[name]] += !isHeld[name]
    }
    text[name] = text[name] " " $1
  }
}
END {
  for (name in section) {
    all = frequent(section[name], count)
    if (all != "") {
      shuffled(name, all words(text[name]), isHeld[name] ? "test" : "train")
    }
  }
}
