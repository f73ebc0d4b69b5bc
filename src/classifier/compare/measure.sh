# SPDX-License-Identifier: Apache-2.0
#
# What the comparisons have in common; they source this with their arguments, and train on train.txt in the
# folder that they are in then:
#
#   SCRIPT [--examples N] [FOLDER]   data and models go into the folder (src/classifier/target/SCRIPT); with
#                                    --examples, only the first N are learned, and N of those held out predicted
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
jar=$here/../target/blocksparse-classifier.jar
most=
if [ "${1:-}" = --examples ]; then
  most=$2
  shift 2
fi
folder=${1:-$here/../target/$(basename "$0")}
threads=$(nproc)
[ -e "$jar" ] || { echo "first: mvn install -DskipTests && mvn -f src/classifier package"; exit 2; }

# need FILE PACKAGE: installs a package of Debian if a file of it is not there
need() {
  [ -e "$1" ] || DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2" > /dev/null
}
need /usr/bin/fasttext fasttext
need /usr/bin/time time

# examples TRAINING TEST: leaves the first with --examples, and tells how many there are
examples() {
  [ -z "$most" ] || sed -i "$((most + 1)),\$d" "$1" "$2"
  local labels
  labels=$(grep -o '__label__[^ ]*' "$1" | sort -u | wc -l)
  echo "$(wc -l < "$1") examples of $labels labels, $(wc -l < "$2") held out"
}

# seconds, those of all processors, and kilobytes of a command, whose output is nobody's
timed() { /usr/bin/time -f '%e %U %S %M' -o time.txt "$@" > log.txt 2>&1 || { cat log.txt; exit 1; }; }

# head_of_table METRIC...: the head of a table whose rows have these metrics, as P@1 or R@10
head_of_table() {
  metrics=("$@")
  echo "| |$(printf ' %s |' "$@") training | of all processors | peak memory | model | predicting all held out |"
  echo "|---|$(printf -- '---|%.0s' "$@")---|---|---|---|---|"
}

# row NAME MODEL VALUE...: with the time of the training in training.txt, of the predictions in time.txt
row() {
  local name=$1 model=$2 trained user system memory predicted value
  shift 2
  for value; do # where nothing at all is right, or a metric is not there, this script is wrong
    [[ $value && $* == *[1-9]* ]] || { echo "$name: ${metrics[*]} is $*"; exit 1; }
  done
  read -r trained user system memory < training.txt
  read -r predicted _ < time.txt
  printf '| %s |%s %s s | %s s | %d MB | %d MB | %s s |\n' "$name" "$(printf ' %s |' "$@")" "$trained" \
    "$(awk "BEGIN {print $user + $system}")" $((memory / 1000)) $(($(stat -c %s "$model") / 1000000)) "$predicted"
}

# train_fasttext TRAINING OPTION...: makes fasttext.bin; what it took goes into training.txt
train_fasttext() {
  local training=$1
  shift
  timed fasttext supervised -input "$training" -output fasttext -thread "$threads" -verbose 0 "$@"
  mv time.txt training.txt
}

# fasttext_row NAME TRAINING TEST OPTION...
fasttext_row() {
  local name=$1 training=$2 test=$3 values=() metric
  shift 3
  train_fasttext "$training" "$@"
  timed fasttext predict-prob fasttext.bin "$test" 5
  for metric in "${metrics[@]}"; do
    values+=("$(fasttext test fasttext.bin "$test" "${metric#*@}" | awk -v m="${metric%@*}@" 'index($1, m) == 1 {print $2}')")
  done
  row "$name" fasttext.bin "${values[@]}"
}

# quality FORMAT MODEL TEST: the metrics of a model of ours, one on each line
quality() {
  local top
  top=$(printf '%s,' "${metrics[@]#*@}")
  java -jar "$jar" test --top "${top%,}" "$2" "$3" | awk -v metrics="${metrics[*]}" -v format="$1\n" '
    $1 ~ /^[0-9]+$/ && NF >= 4 {found["P@" $1] = $2; found["R@" $1] = $3}   # older models have no PSP@k
    END {
      n = split(metrics, metric, " ")
      for (i = 1; i <= n; i++) printf((metric[i] in found) ? format : "\n", found[metric[i]])
    }'
}

# train_classifier TRAINING OPTION...: makes model, with the options of the JVM in the array jvm; what it took goes into
# training.txt
jvm=()
train_classifier() {
  local training=$1
  shift
  timed java "${jvm[@]}" -jar "$jar" train --no-chart -o model "$@" "$training"
  mv time.txt training.txt
}

# classifier_row NAME TRAINING TEST OPTION...
classifier_row() {
  local name=$1 training=$2 test=$3 values
  shift 3
  train_classifier "$training" "$@"
  timed java "${jvm[@]}" -jar "$jar" predict --top 5 model "$test"
  mapfile -t values < <(quality %.3f model "$test")
  row "$name" model "${values[@]}"
}

# first_five MODEL TEST: the five likeliest labels of each example
first_five() { java -jar "$jar" predict --top 5 "$1" "$2" | awk -F '\t' '{print $1, $3, $5, $7, $9}'; }

# table_of_types TEST: what the last model costs in fewer bits; in the last column, of how many examples the five
# likeliest labels are others, or in another order
table_of_types() {
  local type values others
  echo
  echo "| weights | model |$(printf ' %s |' "${metrics[@]}") other first five |"
  echo "|---|---|$(printf -- '---|%.0s' "${metrics[@]}")---|"
  first_five model "$1" > first-five.txt
  for type in float32 float16 bfloat16 int8; do
    if [ $type = float32 ]; then
      cp model $type
    else
      java -jar "$jar" quantize --type $type model $type > log.txt
    fi
    mapfile -t values < <(quality %.4f $type "$1")
    others=$(first_five $type "$1" | awk 'NR == FNR {wide[FNR] = $0; next} wide[FNR] != $0 {n++}
      END {printf "%.1f %%", 100 * n / FNR}' first-five.txt -)
    printf '| %s | %.1f MB |%s %s |\n' $type "$(awk "BEGIN {print $(stat -c %s $type) / 1e6}")" \
      "$(printf ' %s |' "${values[@]}")" "$others"
  done
}
