// SPDX-License-Identifier: Apache-2.0
hljs.highlightAll();

const found = document.getElementById("found");
const search = document.getElementById("search");
const index = lunr(function () {
  this.ref("number");
  this.field("heading", { boost: 8 });
  this.field("page", { boost: 4 });
  this.field("text");
  sections.forEach((section, number) => this.add({ number, ...section }));
});

/** Sections with all words, of which the last may be the beginning of one; or with some. */
function matches(words) {
  const query = (presence) =>
    index.query((q) =>
      words.forEach((word) => {
        q.term(lunr.tokenizer(word), { boost: 4, presence: lunr.Query.presence.OPTIONAL });
        q.term(word, { wildcard: lunr.Query.wildcard.TRAILING, usePipeline: false, presence });
      }),
    );
  const all = query(lunr.Query.presence.REQUIRED);
  return all.length ? all : query(lunr.Query.presence.OPTIONAL);
}

search.addEventListener("input", () => {
  const words = search.value.toLowerCase().split(/[^\p{L}\p{N}]+/u).filter((word) => word);
  const items = (words.length ? matches(words) : []).slice(0, 10).map(({ ref }) => {
    const { address, heading, page } = sections[ref];
    const item = document.createElement("li");
    const link = document.createElement("a");
    link.href = address;
    link.textContent = heading;
    const where = document.createElement("small");
    where.textContent = page;
    link.append(where);
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
