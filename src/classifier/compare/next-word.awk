# SPDX-License-Identifier: Apache-2.0
#
# From the text of a dictionary to a task: which word comes next? Reads GCIDE on standard input, writes fastText's
# format:
#
#   zcat < /usr/share/dictd/gcide.dict.dz | awk -v out=FOLDER -f next-word.awk
#
#   FOLDER/train.txt   a line for each word of every third paragraph:   __label__sort 1a 2 3 4 5   with the five words
#                      before it, each behind a number that tells how far before; beyond the beginning of the
#                      paragraph there is the number alone
#   FOLDER/all.txt     the same of every 300th, another one
#
# Words are runs of letters, in lower case. How they are spoken and where they come from is left out.
BEGIN {
  RS = ""
  seed = 1
}

{
  gsub(/\\[^\\]*\\/, " ")
  gsub(/\[[^]]*\]/, " ")
  text = tolower($0)
  gsub(/[^a-z]+/, " ", text)
  n = split(text, word, " ")
  for (w = 1; w <= n; w++) {
    line = word[w]
    for (d = 1; d <= 5; d++) {
      line = line " " d (d < w ? word[w - d] : "")
    }
    if (NR % 3 == 1) {
      shuffled(line, "train")
    } else if (NR % 300 == 0) {
      shuffled(line, "all")
    }
  }
}

# In an order by chance, the same in every awk: fastText takes examples in the order of the file.
function shuffled(line, name) {
  seed = seed * 16807 % 2147483647
  print seed "\t__label__" line | ("LC_ALL=C sort -n | cut -f 2 > " out "/" name ".txt")
}
