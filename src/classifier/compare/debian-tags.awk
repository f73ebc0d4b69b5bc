# SPDX-License-Identifier: Apache-2.0
#
# From the package index of Debian to a task: which debtags does a package have, by its short and
# its long description? Reads descriptions and then the index, writes fastText's format:
#
#   (cat TRANSLATION-EN; apt-cache dumpavail) | awk -v out=FOLDER -f examples.awk -f debian-tags.awk
#
#   FOLDER/train.txt   a line for each package that has tags:
#                      __label__role::program __label__uitoolkit::sdl the description
#   FOLDER/test.txt    the same of the packages of every tenth source package: held out, so that no
#                      sibling of them is in train.txt
#
# Labels are the tags that at least 3 packages for training have. Text is in lower case, cut into
# runs of letters and digits.
/^[^ ]/ { field = $1 }
/^Package: / {
  package = source = $2
  tags = ""
}
/^Source: / { source = $2 }
/^Description-md5: / { key = $2 }
/^Description-en: / { description[key] = substr($0, 17) }
/^ / && field == "Description-en:" { description[key] = description[key] $0 }
/^Tag: / || (/^ / && field == "Tag:") {
  sub(/^Tag:/, "")
  tags = tags $0
}
/^$/ { keep() }
END {
  keep()
  for (p = 1; p <= packages; p++) {
    write(p)
  }
}

function keep(   n, part, i, held) {
  if (tags == "" || package in known || !(key in description)) {
    return
  }
  known[package]
  held = hash(source) % 10 == 0
  packages++
  text[packages] = words(description[key])
  isHeld[packages] = held
  n = split(tags, part, /[ ,]+/)
  for (i = 1; i <= n; i++) {
    if (part[i] != "") {
      labels[packages] = labels[packages] " " part[i]
      count[part[i]] += !held
    }
  }
}

function write(p,   all) {
  all = frequent(labels[p], count)
  if (all != "") {
    shuffled(all text[p], all text[p], isHeld[p] ? "test" : "train")
  }
}
