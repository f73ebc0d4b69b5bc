# SPDX-License-Identifier: Apache-2.0
#
# From WordNet's files of synonyms to fastText's format: which words does a definition define?
#
#   awk -v out=FOLDER -f wordnet-glosses.awk /usr/share/wordnet/data.noun ...
#
#   FOLDER/train.txt   a line for each set of synonyms:   __label__dwarf __label__midget a plant or animal that is ...
#   FOLDER/test.txt    the same of each tenth set, with those of its words that train.txt has, if any
#
# The definition is in lower case, without the sentences that show how a word is used.
BEGIN {
  for (i = 0; i < 256; i++) {
    code[sprintf("%c", i)] = i
  }
}

/^[0-9]/ {
  bar = index($0, " | ")
  gloss = substr($0, bar + 3)
  sub(/; ".*/, "", gloss)
  gloss = tolower(gloss)
  sub(/ +$/, "", gloss)
  words = all = ""
  isHeld = hash($1 $3) % 10 == 0
  for (w = 0; w < base16($4); w++) {
    word = tolower($(5 + 2 * w))
    sub(/\(.*/, "", word)
    if (index(words " ", " " word " ") == 0) {
      words = words " " word
      all = all "__label__" word " "
    }
  }
  if (isHeld) {
    heldWords[++held] = words
    heldGloss[held] = gloss
  } else {
    n = split(words, part, " ")
    for (i = 1; i <= n; i++) {
      known[part[i]]
    }
    print hash(gloss) "\t" all gloss | sorted("train")
  }
}

END {
  for (h = 1; h <= held; h++) {
    n = split(heldWords[h], part, " ")
    all = ""
    for (i = 1; i <= n; i++) {
      if (part[i] in known) {
        all = all "__label__" part[i] " "
      }
    }
    if (all != "") {
      print hash(heldGloss[h]) "\t" all heldGloss[h] | sorted("test")
    }
  }
}

# Two digits.
function base16(s) {
  return 16 * (index("0123456789abcdef", substr(s, 1, 1)) - 1) + index("0123456789abcdef", substr(s, 2, 1)) - 1
}

# The same in every awk and every year.
function hash(s,   h, i) {
  h = 7
  for (i = 1; i <= length(s); i++) {
    h = (h * 131 + code[substr(s, i, 1)]) % 1000003
  }
  return int(h / 7)
}

# In an order that has nothing to do with words: fastText takes examples in the order of the file.
function sorted(name) {
  return "LC_ALL=C sort -n | cut -f 2 > " out "/" name ".txt"
}
