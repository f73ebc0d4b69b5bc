# SPDX-License-Identifier: Apache-2.0
#
# Functions that the tasks of this folder share. awk reads this file before the script of a task.
BEGIN {
  for (i = 0; i < 256; i++) {
    code[sprintf("%c", i)] = i
  }
}

# The same in every awk and every year.
function hash(s,   h, i) {
  h = 7
  for (i = 1; i <= length(s); i++) {
    h = (h * 131 + code[substr(s, i, 1)]) % 1000003
  }
  return int(h / 7)
}

# In lower case, cut into runs of letters and digits.
function words(s) {
  s = tolower(s)
  gsub(/[^a-z0-9]+/, " ", s)
  gsub(/^ | $/, "", s)
  return s
}

# The beginning of an example: the labels among names that are counted at least 3 times.
function frequent(names, count,   n, part, i, all) {
  n = split(names, part, " ")
  for (i = 1; i <= n; i++) {
    if (count[part[i]] >= 3) {
      all = all "__label__" part[i] " "
    }
  }
  return all
}

# Writes an example in an order that has nothing to do with names: that of a hash of the key.
# fastText takes examples in the order of the file.
function shuffled(key, line, name) {
  print hash(key) "\t" line | ("LC_ALL=C sort -n | cut -f 2 > " out "/" name ".txt")
}
