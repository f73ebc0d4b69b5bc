# SPDX-License-Identifier: Apache-2.0
#
# From the package index of Debian to baskets: a line for each package that depends on two others or more, with their
# names, of alternatives the first.
# The script "next-item" calls it.
/^Depends: / {
  n = split(substr($0, 10), part, ",")
  line = ""
  split("", seen)
  for (i = 1; i <= n; i++) {
    item = part[i]
    sub(/^ +/, "", item)
    sub(/[ (:|].*/, "", item)
    if (item != "" && !(item in seen)) {
      seen[item]
      line = line (line == "" ? "" : " ") item
    }
  }
  if (line ~ / /) {
    print line
  }
}
