# SPDX-License-Identifier: Apache-2.0
#
# How good rankings are, by the definitions of org.blocksparse.ranking.Metrics:
#
#   awk -v metrics="P@1 R@10 nDCG@5 PSP@5" -f ranking-quality.awk TRAINING TEST RANKINGS
#
# TRAINING and TEST have examples in fastText's format; RANKINGS has the likeliest labels of each line of TEST, the best
# first, with or without __label__. Prints each metric on a line. Propensities are those of TRAINING.
FNR == 1 { file++ }

file < 3 {
  for (i = 1; i <= NF && $i ~ /^__label__/; i++) {
    if (file == 1) {
      count[$i]++
    } else {
      labels[FNR] = labels[FNR] " " $i
    }
  }
  examples += file == 1
}

file == 3 {
  if (FNR == 1) {
    n = split(metrics, metric, " ")
    for (m = 1; m <= n; m++) {
      split(metric[m], part, "@")
      kind[m] = part[1]
      top[m] = part[2]
      most = part[2] > most ? part[2] : most
    }
  }
  for (i = 1; i <= NF; i++) {
    sub(/^(__label__)?/, "__label__", $i)
  }
  rows++
  add(split(labels[FNR], right, " "))
}

function add(size,   i, j, k, m, hits, gain, ideal, scored, scorable, weight, isRight, swapped) {
  split("", isRight)
  for (i = 1; i <= size; i++) {
    isRight[right[i]]
    weight[i] = inversePropensity(right[i])
    for (j = i; j > 1 && weight[j] > weight[j - 1]; j--) {
      swapped = weight[j]
      weight[j] = weight[j - 1]
      weight[j - 1] = swapped
    }
  }
  for (k = 1; k <= most; k++) {
    if (k <= NF && ($k in isRight)) {
      hits++
      gain += log(2) / log(k + 1)
      scored += inversePropensity($k)
    }
    if (k <= size) {
      ideal += log(2) / log(k + 1)
      scorable += weight[k]
    }
    for (m = 1; m <= n; m++) {
      if (top[m] == k) {
        if (kind[m] == "P") sum[m] += hits / k
        if (kind[m] == "R") sum[m] += hits / size
        if (kind[m] == "nDCG") sum[m] += gain / ideal
        if (kind[m] == "PSP") { sum[m] += scored; best[m] += scorable }
      }
    }
  }
}

function inversePropensity(label) {
  return 1 + (log(examples) - 1) * (2.5 / (count[label] + 1.5)) ^ 0.55
}

END {
  for (m = 1; m <= n; m++) {
    print sum[m] / (kind[m] == "PSP" ? best[m] : rows)
  }
}
