# SPDX-License-Identifier: Apache-2.0
#
# From translated descriptions of Debian to a task: which section or tags has a package, by its short
# description in a language? Reads translations and then the package index, writes fastText's format:
#
#   (cat TRANSLATION-FI; apt-cache dumpavail) |
#     awk -v out=FOLDER -v language=fi -v field=Section -f examples.awk -f debian-titles.awk
#
#   FOLDER/train.txt   a line for each package:   __label__libs the short description
#   FOLDER/test.txt    the same of the packages of every fifth source package: held out, so that no
#                      sibling of them is in train.txt
#
# The field is Section, one label each, or Tag, several. Labels are those of at least 3 packages for
# training. Text keeps its letters; those of ASCII are in lower case, its punctuation is left out.
BEGIN { field = field ": " }
/^Package: / {
  package = source = $2
  labels = ""
}
/^Source: / { source = $2 }
/^Description-md5: / { key = $2 }
index($0, "Description-" language ": ") == 1 { title[key] = $0 }
index($0, field) == 1 || (/^ / && isInField) {
  labels = labels " " (isInField ? $0 : substr($0, length(field) + 1))
  isInField = 1
  next
}
{ isInField = 0 }
/^$/ { keep() }
END {
  keep()
  for (p = 1; p <= packages; p++) {
    all = frequent(names[p], count)
    if (all != "") {
      shuffled(package_[p], all text[p], isHeld[p] ? "test" : "train")
    }
  }
}

function keep(   n, part, i) {
  if (labels == "" || package in known || !(key in title)) {
    return
  }
  known[package]
  packages++
  package_[packages] = package
  isHeld[packages] = hash(source) % 5 == 0
  text[packages] = tolower(substr(title[key], length(language) + 15))
  gsub(/[!-\/:-@[-`{-~ ]+/, " ", text[packages])
  n = split(labels, part, /[ ,]+/)
  for (i = 1; i <= n; i++) {
    if (part[i] != "") {
      names[packages] = names[packages] " " part[i]
      count[part[i]] += !isHeld[packages]
    }
  }
}
