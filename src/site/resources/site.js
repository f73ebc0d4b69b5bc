// SPDX-License-Identifier: Apache-2.0
hljs.highlightAll();

/* Beside a wide page the list of its parts is open; above a narrow one it can be opened. */
const contents = document.getElementById("contents");
if (contents) {
  contents.open = matchMedia("(min-width: 85rem)").matches;
}

/* Drawings with text that cannot shrink. */
for (const image of document.querySelectorAll("main img")) {
  const mark = () => image.classList.toggle("wide", image.naturalWidth > 800);
  image.addEventListener("load", mark);
  mark();
}

for (const code of document.querySelectorAll("pre > code")) {
  const button = Object.assign(document.createElement("button"), { textContent: "Copy" });
  button.className = "secondary";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(code.innerText);
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 2000);
  });
  code.after(button);
}

const found = document.getElementById("found");
const search = document.getElementById("search");
const index = lunr(function () {
  this.ref("number");
  this.field("heading", { boost: 8 });
  this.field("page", { boost: 4 });
  this.field("text");
  sections.forEach((section, number) => this.add({ number, ...section }));
});

/** Words that readers search for where the pages have another. */
const synonyms = {
  kotlin: "gradle",
  onnx: "pytorch",
  hyperparameter: "options",
  hyperparameters: "options",
  multilabel: "labels",
  embeddings: "bag",
  moe: "experts",
};

/**
 * Sections with all words, each of which may be the beginning of one; or with some; or with words
 * that differ in a letter or two neighbours.
 */
function matches(searched) {
  const words = searched.map((word) => synonyms[word] ?? word);
  const query = (presence) =>
    index.query((q) =>
      words.forEach((word) => {
        q.term(lunr.tokenizer(word), { boost: 4, presence: lunr.Query.presence.OPTIONAL });
        const stem = lunr.stemmer(new lunr.Token(word)).toString();
        q.term(stem, { wildcard: lunr.Query.wildcard.TRAILING, usePipeline: false, presence });
      }),
    );
  const all = query(lunr.Query.presence.REQUIRED);
  const some = all.length ? all : query(lunr.Query.presence.OPTIONAL);
  const similar = (q) => words.forEach((word) => q.term(word, { editDistance: 1 }));
  return some.length ? some : index.query(similar);
}

/** The text around the first of the words, which is marked; nothing if it has none. */
function excerpt(text, words) {
  const found = text.match(new RegExp(words.map((word) => synonyms[word] ?? word).join("|"), "iu"));
  if (!found) {
    return [];
  }
  const begin = text.lastIndexOf(" ", Math.max(found.index - 40, 0)) + 1;
  const end = found.index + found[0].length;
  const mark = Object.assign(document.createElement("mark"), { textContent: found[0] });
  return [text.slice(begin, found.index), mark, text.slice(end, end + 60) + "…"];
}

search.addEventListener("input", () => {
  const words = search.value.toLowerCase().split(/[^\p{L}\p{N}]+/u).filter((word) => word);
  // A type or a part of exactly this name comes first.
  const other = ({ ref }) => sections[ref].heading.toLowerCase() !== search.value.trim().toLowerCase();
  const hits = (words.length ? matches(words) : []).sort((a, b) => other(a) - other(b));
  const items = hits.slice(0, 10).map(({ ref }) => {
    const { address, heading, page, text } = sections[ref];
    const item = document.createElement("li");
    const link = document.createElement("a");
    link.href = address;
    link.textContent = heading;
    const where = document.createElement("small");
    where.textContent = page;
    const part = document.createElement("small");
    part.append(...excerpt(text, words));
    link.append(where, part);
    item.append(link);
    return item;
  });
  if (words.length && !items.length) {
    items.push(Object.assign(document.createElement("li"), { textContent: "Nothing found" }));
  }
  found.replaceChildren(...items);
  found.hidden = !words.length;
});

search.addEventListener("keydown", (event) => {
  if (event.key === "Enter") {
    found.querySelector("a")?.click();
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    found.hidden = true;
  }
});
document.addEventListener("click", (event) => {
  if (!event.target.closest("search")) {
    found.hidden = true;
  }
});
