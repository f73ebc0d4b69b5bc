# SPDX-License-Identifier: Apache-2.0
#
# From the package index of Debian to a task: which debtags does a package have, by its short and
# its long description? Reads descriptions and then the index, writes fastText's format:
#
#   (cat TRANSLATION-EN; apt-cache dumpavail) | awk -v out=FOLDER -f debian-tags.awk
#
#   FOLDER/train.txt   a line for each package that has tags:
#                      __label__role::program __label__uitoolkit::sdl the description
#   FOLDER/test.txt    the same of the packages of every tenth source package: held out, so that no
#                      sibling of them is in train.txt
#
# Labels are the tags that at least 3 packages for training have. Text is in lower case, cut into
# runs of letters and digits.
BEGIN {
  for (i = 0; i < 256; i++) {
    code[sprintf("%c", i)] = i
  }
}

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

function words(s) {
  s = tolower(s)
  gsub(/[^a-z0-9]+/, " ", s)
  gsub(/^ | $/, "", s)
  return s
}

# The same in every awk and every year.
function hash(s,   h, i) {
  h = 7
  for (i = 1; i <= length(s); i++) {
    h = (h * 131 + code[substr(s, i, 1)]) % 1000003
  }
  return int(h / 7)
}

function write(p,   n, part, i, all) {
  n = split(labels[p], part, " ")
  for (i = 1; i <= n; i++) {
    if (count[part[i]] >= 3) {
      all = all "__label__" part[i] " "
    }
  }
  if (all != "") {
    shuffled(all text[p], isHeld[p] ? "test" : "train")
  }
}

# In an order that has nothing to do with names: fastText takes examples in the order of the file.
function shuffled(line, name) {
  print hash(line) "\t" line | ("LC_ALL=C sort -n | cut -f 2 > " out "/" name ".txt")
}
