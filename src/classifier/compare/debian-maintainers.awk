# SPDX-License-Identifier: Apache-2.0
#
# From the package index of Debian to a task: who maintains a package, by its short and its long
# description? Reads descriptions and then the index, writes fastText's format:
#
#   (cat TRANSLATION-EN; apt-cache dumpavail) | awk -v out=FOLDER -f examples.awk -f debian-maintainers.awk
#
#   FOLDER/train.txt   a line for each package:   __label__debian_java_maintainers the description
#   FOLDER/test.txt    the same of the packages of every tenth source package: held out, so that no
#                      sibling of them is in train.txt
#
# Labels are the names of maintainers of at least 3 packages for training. Text is in lower case, cut
# into runs of letters and digits.
/^[^ ]/ { field = $1 }
/^Package: / {
  package = source = $2
  maintainer = ""
}
/^Source: / { source = $2 }
/^Maintainer: / {
  maintainer = substr($0, 13)
  sub(/ *<.*/, "", maintainer)
  maintainer = words(maintainer)
  gsub(/ /, "_", maintainer)
}
/^Description-md5: / { key = $2 }
/^Description-en: / { description[key] = substr($0, 17) }
/^ / && field == "Description-en:" { description[key] = description[key] $0 }
/^$/ { keep() }
END {
  keep()
  for (p = 1; p <= packages; p++) {
    all = frequent(label[p], count)
    if (all != "") {
      shuffled(package_[p], all text[p], isHeld[p] ? "test" : "train")
    }
  }
}

function keep() {
  if (maintainer == "" || package in known || !(key in description)) {
    return
  }
  known[package]
  packages++
  package_[packages] = package
  label[packages] = maintainer
  text[packages] = words(description[key])
  isHeld[packages] = hash(source) % 10 == 0
  count[maintainer] += !isHeld[packages]
}
