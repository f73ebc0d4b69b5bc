# SPDX-License-Identifier: Apache-2.0
#
# What the comparisons have in common; they source this with their arguments, and train on train.txt in the
# folder that they are in then:
#
#   SCRIPT [--examples N] [--pecos SOURCE] [FOLDER]
#
#   --examples   only the first N are learned, and N of those held out predicted
#   --pecos      a clone of https://github.com/amzn/pecos, where its C++ core is built if it is not yet; without it,
#                PECOS is left out
#   FOLDER       data and models go into it (src/classifier/target/SCRIPT)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
jar=$here/../target/blocksparse-classifier.jar
most=
pecos=
while [[ ${1:-} == --* ]]; do
  case $1 in
    --examples) most=$2 ;;
    --pecos) pecos=$(cd "$2" && pwd) ;;
    *) echo "expected --examples N or --pecos SOURCE but was: $1"; exit 2 ;;
  esac
  shift 2
done
folder=${1:-$here/../target/$(basename "$0")}
threads=$(nproc)
[ -e "$jar" ] || { echo "first: mvn install -DskipTests && mvn -f src/classifier package"; exit 2; }

# need FILE PACKAGE: installs a package of Debian if a file of it is not there
need() {
  [ -e "$1" ] || DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2" > /dev/null
}
need /usr/bin/fasttext fasttext
fasttext_options=(-lr 0.5 -dim 64 -epoch 5 -wordNgrams 2 -bucket 200000)
need /usr/bin/time time
if [ "$pecos" ]; then
  need /usr/lib/python3/dist-packages/numpy python3-numpy
  need /usr/lib/python3/dist-packages/scipy python3-scipy
  core=$pecos/pecos/core/libpecos_float32.so
  # As setup.py does, without the libraries from PyPI that it wants.
  [ -e "$core" ] ||
    g++ -w -fopenmp -O3 -std=c++17 -fPIC -shared -I "$pecos/pecos/core" -o "$core" "$pecos/pecos/core/libpecos.cpp"
else
  echo "PECOS is left out: --pecos SOURCE names a clone of it"
fi

# chart NUMBERS.tsv: draws NUMBERS.svg
chart() { java "$here/../../jmh/java/org/blocksparse/bench/Chart.java" "$1"; }

# examples TRAINING TEST: leaves the first with --examples, and prints how many there are
examples() {
  [ -z "$most" ] || sed -i "$((most + 1)),\$d" "$1" "$2"
  local labels
  labels=$(grep -o '__label__[^ ]*' "$1" | sort -u | wc -l)
  echo "$(wc -l < "$1") examples of $labels labels, $(wc -l < "$2") held out"
}

# seconds, those of all processors, and kilobytes of a command, whose output is nobody's
timed() { /usr/bin/time -f '%e %U %S %M' -o time.txt "$@" > log.txt 2>&1 || { cat log.txt; exit 1; }; }

# head_of_table METRIC...: the head of a table whose rows have these metrics, as P@1 or nDCG@5
head_of_table() {
  metrics=("$@")
  echo "| |$(printf ' %s |' "$@") training | CPU | peak memory | model | one answer | calibration error |"
  echo "|---|$(printf -- '---|%.0s' "$@")---|---|---|---|---|---|"
}

# quality FORMAT TRAINING TEST RANKINGS: the metrics, each on a line
quality() {
  awk -v metrics="${metrics[*]}" -f "$here/ranking-quality.awk" "$2" "$3" "$4" | while read -r value; do
    printf "$1\n" "$value"
  done
}

# row NAME MODEL TRAINING TEST ANSWER ERROR: with the likeliest labels in rankings.txt, and what the training took in
# training.txt: seconds by the clock, those of all processors in user mode, and memory
row() {
  local values seconds user _ memory
  mapfile -t values < <(quality %.3f "$3" "$4" rankings.txt)
  [[ ${#values[@]} = "${#metrics[@]}" && ${values[*]} == *[1-9]* ]] ||
    { echo "$1: ${metrics[*]} is ${values[*]}"; exit 1; } # where nothing at all is right, this script is wrong
  read -r seconds user _ memory < training.txt
  printf '| %s |%s %s s | %s s | %d MB | %.1f MB | %s | %s |\n' "$1" "$(printf ' %s |' "${values[@]}")" "$seconds" \
    "$user" $((memory / 1000)) "$(du -bs "$2" | awk '{print $1 / 1e6}')" "$5" "$6"
}

# answers TEST: puts labels of lines LABEL PROBABILITY LABEL PROBABILITY... into rankings.txt, and prints the expected
# calibration error of the first probabilities, as test does
answers() {
  awk '
    NR == FNR {
      for (i = 1; i <= NF && $i ~ /^__label__/; i++) right[FNR, $i]
      next
    }
    {
      first = $1
      sub(/^(__label__)?/, "__label__", first)
      error[$2 < 1 ? int(10 * $2) : 9] += $2 - ((FNR, first) in right)
      ranking = $1
      for (i = 3; i <= NF; i += 2) ranking = ranking " " $i
      print ranking > "rankings.txt"
    }
    END {
      for (bin in error) sum += error[bin] < 0 ? -error[bin] : error[bin]
      printf "%.3f\n", sum / FNR
    }' "$1" -
}

# train_fasttext TRAINING OPTION...: makes fasttext.bin; what it took goes into training.txt
train_fasttext() {
  local training=$1
  shift
  timed fasttext supervised -input "$training" -output fasttext -thread "$threads" -verbose 0 "$@"
  mv time.txt training.txt
}

# fasttext_answer TEST: the mean time of one answer, on one thread; fastText has no command for the median
fasttext_answer() {
  local first all
  head -n 1 "$1" > first.txt
  for _ in {1..20}; do cat "$1"; done > many.txt
  timed fasttext predict fasttext.bin first.txt 5   # loads the model, too
  read -r _ first _ < time.txt
  timed fasttext predict fasttext.bin many.txt 5
  read -r _ all _ < time.txt
  awk -v first="$first" -v all="$all" 'END {printf "%.0f us\n", 1e6 * (all - first) / (NR - 1)}' many.txt
  rm first.txt many.txt
}

# fasttext_row NAME TRAINING TEST OPTION...
fasttext_row() {
  local name=$1 training=$2 test=$3
  shift 3
  train_fasttext "$training" "$@"
  local error
  error=$(fasttext predict-prob fasttext.bin "$test" 5 | answers "$test")
  row "$name" fasttext.bin "$training" "$test" "$(fasttext_answer "$test")" "$error"
}

# pecos_row NAME TRAINING TEST WORDS: with runs of up to WORDS words as features
pecos_row() {
  [ "$pecos" ] || return 0
  local xr_linear=(env PYTHONPATH="$pecos" OMP_NUM_THREADS="$threads" /usr/bin/python3 "$here/xr-linear.py")
  rm -rf pecos
  timed "${xr_linear[@]}" train "$2" pecos "$4"
  mv time.txt training.txt
  local error
  error=$("${xr_linear[@]}" predict pecos "$3" | answers "$3")
  row "$1" pecos "$2" "$3" "$("${xr_linear[@]}" latency pecos "$3") us" "$error"
}

# train_classifier TRAINING OPTION...: makes model, with the options of the JVM in the array jvm; what it took goes into
# training.txt
jvm=()
train_classifier() {
  local training=$1
  shift
  timed java "${jvm[@]}" -jar "$jar" train -o model "$@" "$training"
  mv time.txt training.txt
}

# classifier_row NAME TRAINING TEST OPTION...
classifier_row() {
  local name=$1 training=$2 test=$3
  shift 3
  train_classifier "$training" "$@"
  first_five model "$test" > rankings.txt
  row "$name" model "$training" "$test" \
    "$(java -jar "$jar" latency --seconds "$([ "$most" ] && echo 1 || echo 5)" model "$test" | awk '$1 ~ /^p50/ {print 1000 * $2 " us"}')" \
    "$(java -jar "$jar" test model "$test" | awk '/error of the first/ {print $NF}')"
}

# descriptions_and_packages LANGUAGE...: Debian's descriptions, which images of containers leave out, and then its
# package index
descriptions_and_packages() {
  mkdir -p lists/partial
  local languages
  languages=$(IFS=, && echo "$*")
  local lists=(-o Acquire::Languages="$languages" -o Dir::State::Lists="$PWD/lists" -o APT::Sandbox::User=root)
  apt-get -qq "${lists[@]}" update
  /usr/lib/apt/apt-helper cat-file lists/*_Translation-*
  apt-cache "${lists[@]}" dumpavail
}

# table_of_heads TRAINING TEST: of all systems; $heap is enough for the linear head
table_of_heads() {
  head_of_table P@1 P@5 nDCG@5 PSP@5
  fasttext_row 'fastText, `-loss hs`' "$@" "${fasttext_options[@]}" -loss hs
  pecos_row 'PECOS, words' "$@" 1
  pecos_row 'PECOS, words and pairs' "$@" 2
  classifier_row 'blocksparse-classifier' "$@"
  classifier_row 'the same, `--head both`' "$@" --head both
  classifier_row 'the same, `--head embedding`' "$@" --head embedding
  classifier_row 'the same, `--label-tree`' "$@" --label-tree
  classifier_row 'the same, `--head linear`' "$@" --head linear
  jvm=(-XX:+UseSerialGC "-Xmx$heap")
  classifier_row "the same, \`java ${jvm[*]}\`" "$@" --head linear
  jvm=()
}

# first_five MODEL TEST: the five likeliest labels of each example
first_five() { java -jar "$jar" predict --top 5 "$1" "$2" | awk -F '\t' '{print $1, $3, $5, $7, $9}'; }

# table_of_types TRAINING TEST: what the last model costs in fewer bits; in the last column, of how many examples the
# five likeliest labels are others, or in another order
table_of_types() {
  local type values others
  echo
  echo "| weights | model |$(printf ' %s |' "${metrics[@]}") other first five |"
  echo "|---|---|$(printf -- '---|%.0s' "${metrics[@]}")---|"
  first_five model "$2" > first-five.txt
  for type in float32 float16 bfloat16 int8; do
    if [ $type = float32 ]; then
      cp model $type
    else
      java -jar "$jar" quantize --type $type model $type > log.txt
    fi
    first_five $type "$2" > rankings.txt
    mapfile -t values < <(quality %.4f "$1" "$2" rankings.txt)
    others=$(awk 'NR == FNR {wide[FNR] = $0; next} wide[FNR] != $0 {n++}
      END {printf "%.1f %%", 100 * n / FNR}' first-five.txt rankings.txt)
    printf '| %s | %.1f MB |%s %s |\n' $type "$(awk "BEGIN {print $(stat -c %s $type) / 1e6}")" \
      "$(printf ' %s |' "${values[@]}")" "$others"
  done
}
