"use strict";
// Which images are shown, in which order, and how. The address has it after #, for bookmarks:
// #class=2&order=list&image=17&opacity=40&wrong=1&ignored=0
const data = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);
const SIDES = ["truth", "prediction"];
const ORDERS = ["worst", "best", "list"];
const INITIAL = { class: null, order: "worst", image: 0, opacity: 60, wrong: 0, ignored: 1 };
const state = { ...INITIAL };
const byNumber = new Map(data.images.map((image) => [image.number, image]));
let shown = []; // images, in order
let listed = null; // class and order of those in the list
let seen = null; // the image that is shown

// Pixels of each class of an image: in the truth, predicted, both; and of wrong ones.
for (const image of data.images) {
  image.classes = new Map();
  const of = (index) => {
    if (!image.classes.has(index))
      image.classes.set(index, { truth: 0, predicted: 0, both: 0, taken: [] });
    return image.classes.get(index);
  };
  image.pixels = image.wrong = 0;
  for (const [truth, predicted, pixels] of image.counts) {
    of(truth).truth += pixels;
    of(predicted).predicted += pixels;
    image.pixels += pixels;
    if (truth === predicted) of(truth).both += pixels;
    else {
      image.wrong += pixels;
      of(truth).taken.push([pixels, predicted]);
    }
  }
  for (const found of image.classes.values()) {
    found.union = found.truth + found.predicted - found.both;
    found.iou = found.both / found.union;
    found.taken.sort((a, b) => b[0] - a[0]);
  }
  const there = [...image.classes.values()].filter((found) => found.truth);
  image.iou = there.length
    ? there.reduce((sum, found) => sum + found.iou, 0) / there.length
    : null; // all of it is ignored
}

function percent(fraction) {
  return fraction === null ? "–" : `${(100 * fraction).toFixed(1)}%`;
}

function score(image) {
  return state.class === null ? image.iou : image.classes.get(state.class).iou;
}

function wrong(image) {
  if (state.class === null) return image.wrong;
  const found = image.classes.get(state.class);
  return found.union - found.both;
}

// Of equal IoU, such as 0, the image with more wrong pixels is the worse one.
function choose() {
  shown = data.images.filter(
    (image) => state.class === null || image.classes.has(state.class),
  );
  if (state.order === "list") return;
  const sign = state.order === "worst" ? 1 : -1;
  shown.sort((a, b) => {
    const [x, y] = [score(a), score(b)];
    if (x === null || y === null) return (x === null) - (y === null);
    return sign * (x - y || wrong(b) - wrong(a));
  });
}

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function swatch(index) {
  const made = element("span", { className: "swatch" });
  made.style.background = data.classes[index].color;
  return made;
}

function layer(image, end, kind) {
  const made = element("img", { alt: "", className: kind, decoding: "async" });
  made.onerror = () => {
    at("broken").hidden = false;
    at("broken").textContent =
      `${made.getAttribute("src")} cannot be shown: the folder ${data.folder} belongs beside this page.`;
  };
  made.src = `${data.folder}/${String(image.number).padStart(6, "0")}${end}`;
  return made;
}

function layers(image, side) {
  return [layer(image, ".jpg", "photo"), layer(image, `_${side}.png`, "mask")];
}

function marks(image, side) {
  const found = side === "prediction" ? [layer(image, "_wrong.png", "wrong")] : [];
  if (image.ignored) found.push(layer(image, "_ignored.png", "ignored"));
  return found;
}

// Pictures of the list are loaded once they are near: browsers load those of files that
// are marked as lazy at once.
const near = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      near.unobserve(target);
      target.append(...layers(byNumber.get(Number(target.dataset.number)), "prediction"));
    }
  },
  { root: at("list"), rootMargin: "500px" },
);

function fillList() {
  near.disconnect();
  at("list").replaceChildren(
    ...shown.map((image) => {
      const picture = element("span", { className: "layers" });
      picture.dataset.number = image.number;
      near.observe(picture);
      const name = element("b", { textContent: image.name, title: image.name });
      const iou = element("i", { textContent: percent(score(image)) });
      const button = element("button", {}, picture, element("span", {}, name, iou));
      button.onclick = () => change({ image: image.number });
      return element("li", { id: `image${image.number}` }, button);
    }),
  );
  at("list").scrollTop = at("list").scrollLeft = 0;
}

function row(image, index, found) {
  const chosen = state.class === index;
  const pick = element("button", { className: "plain", id: `class${index}` });
  pick.title = chosen ? "Images of all classes" : "Only images with this class";
  pick.append(swatch(index), data.classes[index].name);
  pick.setAttribute("aria-pressed", chosen);
  pick.onclick = () => {
    change({ class: chosen ? null : index, image: image.number });
    at(`class${index}`).focus(); // the rows are others now
  };
  const [pixels, other] = found.taken[0] || [0];
  const cells = [
    percent(found.iou),
    percent(found.truth / image.pixels),
    percent(found.predicted / image.pixels),
    pixels ? `${data.classes[other].name}, ${percent(pixels / found.truth)} of it` : "",
  ];
  return element(
    "tr",
    { className: chosen ? "chosen" : "" },
    element("th", { scope: "row" }, pick),
    ...cells.map((textContent) => element("td", { textContent })),
  );
}

// Marks an image in the list, which alone is scrolled.
function mark(image) {
  const list = at("list");
  list.querySelector("[aria-current]")?.removeAttribute("aria-current");
  const item = at(`image${image.number}`);
  item.firstChild.setAttribute("aria-current", "true");
  const { offsetTop: top, offsetLeft: left, offsetHeight: height, offsetWidth: width } = item;
  list.scrollTop = Math.min(top, Math.max(list.scrollTop, top + height - list.clientHeight));
  list.scrollLeft = Math.min(left, Math.max(list.scrollLeft, left + width - list.clientWidth));
}

function showImage(place) {
  const image = shown[place];
  at("empty").hidden = Boolean(image);
  at("current").hidden = !image;
  if (!image) return;
  mark(image);
  const what = state.class === null ? "IoU" : `IoU of ${data.classes[state.class].name}`;
  const [width, height] = image.size;
  at("name").textContent = image.name;
  at("place").textContent =
    `${place + 1} of ${shown.length} · ${what} ${percent(score(image))} · ` +
    `${width}×${height} pixels, ${percent(image.ignored / (width * height))} ignored`;
  for (const side of SIDES) {
    at(side).style.setProperty("--ratio", width / height);
    at(side).replaceChildren(...layers(image, side), ...marks(image, side));
    at(side).setAttribute("role", "img");
    at(side).setAttribute("aria-label", `${side} of ${image.name}`);
  }
  const first = ([index, found]) => (index === state.class ? Infinity : found.truth);
  const classes = [...image.classes].sort((a, b) => first(b) - first(a) || a[0] - b[0]);
  at("counts").replaceChildren(...classes.map((each) => row(image, ...each)));
  const next = shown[place + 1];
  if (next) for (const side of SIDES) layers(next, side); // loaded ahead
}

// What is as it was stays: a slider that moves loads no pictures.
function show() {
  const wanted = `${state.class} ${state.order}`;
  if (listed !== wanted) {
    [listed, seen] = [wanted, null];
    choose();
    fillList();
  }
  const place = Math.max(0, shown.findIndex((image) => image.number === state.image));
  if (seen === null || seen !== shown[place]) {
    seen = shown[place] ?? null;
    showImage(place);
  }
  if (seen) state.image = seen.number;
  at("class").value = state.class ?? "";
  at("order").value = state.order;
  at("opacity").value = state.opacity;
  at("wrong").checked = state.wrong;
  at("ignored").checked = state.ignored;
  at("browser").style.setProperty("--opacity", state.opacity / 100);
  at("browser").classList.toggle("hide-wrong", !state.wrong);
  at("browser").classList.toggle("hide-ignored", !state.ignored);
}

// Another class or order begins with its first image, unless one is named.
function change(what) {
  Object.assign(state, "class" in what || "order" in what ? { image: 0 } : {}, what);
  show();
  const differing = Object.keys(INITIAL).filter((name) => state[name] !== INITIAL[name]);
  const words = differing.map((name) => `${name}=${state[name]}`);
  try {
    history.replaceState(null, "", `#${words.join("&")}`);
  } catch {
    // Some browsers keep no state of files.
  }
}

// An address may be another's: what makes no sense in it is left out.
function read() {
  const given = new URLSearchParams(location.hash.slice(1));
  const whole = (name, most) => {
    const text = given.get(name) ?? "";
    return /^\d{1,9}$/.test(text) && Number(text) <= most ? Number(text) : INITIAL[name];
  };
  state.class = whole("class", data.classes.length - 1);
  state.order = ORDERS.includes(given.get("order")) ? given.get("order") : INITIAL.order;
  state.image = whole("image", 1e9);
  state.opacity = whole("opacity", 100);
  state.wrong = whole("wrong", 1);
  state.ignored = whole("ignored", 1);
  show();
}

function go(by) {
  const place = shown.findIndex((image) => image.number === state.image) + by;
  if (shown[place]) change({ image: shown[place].number });
}

function chosenClass(value) {
  return value === "" ? null : Number(value);
}

function nextClass(by) {
  const options = [...at("class").options];
  const place = (at("class").selectedIndex + by + options.length) % options.length;
  change({ class: chosenClass(options[place].value) });
}

const KEYS = {
  ArrowLeft: () => go(-1),
  ArrowRight: () => go(1),
  k: () => go(-1),
  j: () => go(1),
  "[": () => nextClass(-1),
  "]": () => nextClass(1),
  s: () => change({ order: ORDERS[(ORDERS.indexOf(state.order) + 1) % ORDERS.length] }),
  w: () => change({ wrong: 1 - state.wrong }),
  i: () => change({ ignored: 1 - state.ignored }),
};
for (let digit = 0; digit <= 9; digit++)
  KEYS[digit] = () => change({ opacity: Math.round((digit * 100) / 9 / 5) * 5 });

document.addEventListener("keydown", (event) => {
  const { target, key } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || target.matches("select")) return;
  if (target.matches("input[type=range]") && key.startsWith("Arrow")) return;
  if (!Object.hasOwn(KEYS, key)) return;
  event.preventDefault();
  KEYS[key]();
});
at("class").onchange = (event) => change({ class: chosenClass(event.target.value) });
at("order").onchange = (event) => change({ order: event.target.value });
at("opacity").oninput = (event) => change({ opacity: Number(event.target.value) });
for (const name of ["wrong", "ignored"])
  at(name).onchange = (event) => change({ [name]: Number(event.target.checked) });
at("previous").onclick = () => go(-1);
at("next").onclick = () => go(1);
addEventListener("hashchange", read);

data.classes.forEach(({ name }, index) => {
  const count = data.images.filter((image) => image.classes.has(index)).length;
  at("class").append(element("option", { value: index, textContent: `${name} (${count})` }));
});
read();
