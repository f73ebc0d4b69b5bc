# SPDX-License-Identifier: Apache-2.0
#
# From WordNet's files of synonyms to fastText's format: which words does a definition define?
#
#   awk -v out=FOLDER -f examples.awk -f wordnet-glosses.awk /usr/share/wordnet/data.noun ...
#
#   FOLDER/train.txt   a line for each set of synonyms:   __label__dwarf __label__midget a plant or animal that is ...
#   FOLDER/test.txt    the same of each tenth set, with those of its words that train.txt has, if any
#
# The definition is in lower case, without the sentences that show how a word is used.
/^[0-9]/ {
  bar = index($0, " | ")
  gloss = substr($0, bar + 3)
  sub(/; ".*/, "", gloss)
  gloss = tolower(gloss)
  sub(/ +$/, "", gloss)
  synonyms = all = ""
  isHeld = hash($1 $3) % 10 == 0
  for (w = 0; w < base16($4); w++) {
    word = tolower($(5 + 2 * w))
    sub(/\(.*/, "", word)
    if (index(synonyms " ", " " word " ") == 0) {
      synonyms = synonyms " " word
      all = all "__label__" word " "
    }
  }
  if (isHeld) {
    heldSynonyms[++held] = synonyms
    heldGloss[held] = gloss
  } else {
    n = split(synonyms, part, " ")
    for (i = 1; i <= n; i++) {
      known[part[i]]
    }
    shuffled(gloss, all gloss, "train")
  }
}

END {
  for (h = 1; h <= held; h++) {
    n = split(heldSynonyms[h], part, " ")
    all = ""
    for (i = 1; i <= n; i++) {
      if (part[i] in known) {
        all = all "__label__" part[i] " "
      }
    }
    if (all != "") {
      shuffled(heldGloss[h], all heldGloss[h], "test")
    }
  }
}

# Two digits.
function base16(s) {
  return 16 * (index("0123456789abcdef", substr(s, 1, 1)) - 1) + index("0123456789abcdef", substr(s, 2, 1)) - 1
}
