// Marking: circles, points or boxes on a picture, by mouse, touch, pen and keyboard.
// Marks are kept in pixels of the original; `view` maps them to the stage: s = stage pixels per image pixel.

const NS = "http://www.w3.org/2000/svg";
const TAP = 4,
  TOUCH_REACH = 22,
  MOUSE_REACH = 11,
  EDGE = 76,
  LENS = 64;

const shapeOf = (name, attributes) => {
  const node = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
};
const between = (value, low, high) => Math.max(low, Math.min(high, value));

export function mount(
  element,
  {
    config,
    media,
    draft,
    onchange,
    keys: {isAltGr, isCommand, keyOf},
    stage: {over, board: stage, picture: base},
  },
) {
  const within = selector => over.querySelector(selector) ?? element.querySelector(selector);
  const $ = name => within(`[data-${name}]`);
  const texts = JSON.parse($("strings").textContent);
  const say = text => {
    $("live").textContent = text;
  };
  const svg = $("canvas"),
    picture = $("image"),
    table = $("squares");
  const {width: W, height: H, srcset = ""} = media[0];
  const shape = config.shape ?? "circle",
    classes = config.classes ?? [];
  const minimum = config.min_diameter_px ?? 0,
    most = config.max_marks ?? 500;

  let turns = 0,
    stageSize = {w: 1, h: 1}; // quarter turns of the view; size is that of the stage before turning
  let marks = (draft?.marks ?? []).map(mark => ({...mark}));
  let selected = null,
    current = classes[0]?.id,
    undone = [];
  let view = {s: 1, x: 0, y: 0},
    fitted = 1,
    size = {w: 1, h: 1};
  let act = null,
    pinch = null,
    wasPinched = false,
    isPanning = false,
    look = 0,
    cross = null,
    corner = null;
  let radius = 0; // of the next mark placed by a tap or a key, in image pixels
  const pointers = new Map();
  let pen = null; // a pen that is down: the palm beside it draws and pinches nothing

  // -- the view -------------------------------------------------------------------------------------

  const toImage = point => ({x: view.x + point.x / view.s, y: view.y + point.y / view.s});
  const toStage = (x, y) => ({x: (x - view.x) * view.s, y: (y - view.y) * view.s});
  // The view may be turned: everything is reckoned on a stage that is not, and only what comes in and goes out is turned.
  const unturned = ({x, y}) =>
    [
      {x, y},
      {x: y, y: stageSize.w - x},
      {x: stageSize.w - x, y: stageSize.h - y},
      {x: stageSize.h - y, y: x},
    ][turns];
  const turned = ({x, y}) =>
    [
      {x, y},
      {x: stageSize.w - y, y: x},
      {x: stageSize.w - x, y: stageSize.h - y},
      {x: y, y: stageSize.h - x},
    ][turns];
  const onStage = event => {
    const box = svg.getBoundingClientRect();
    return {x: event.clientX - box.left, y: event.clientY - box.top};
  };
  const at = event => unturned(onStage(event));

  function clamp() {
    for (const [axis, length, span] of [
      ["x", W, size.w],
      ["y", H, size.h],
    ]) {
      const slack = length * view.s - span,
        low = -EDGE / view.s,
        high = (slack + EDGE) / view.s;
      view[axis] =
        view.s <= fitted * 1.001 || low > high ? slack / 2 / view.s : between(view[axis], low, high);
    }
  }
  function fit() {
    stageSize = {w: stage.clientWidth || 1, h: stage.clientHeight || 1};
    size = turns % 2 ? {w: stageSize.h, h: stageSize.w} : stageSize;
    // The squares do not turn, and lie on the picture as large as it fits.
    const whole = Math.min(stageSize.w / W, stageSize.h / H);
    for (const {style} of [base, table])
      Object.assign(style, {inlineSize: `${W * whole}px`, blockSize: `${H * whole}px`});
    const before = fitted,
      wasFitted = view.s <= before * 1.001;
    fitted = Math.min(size.w / W, size.h / H);
    if (wasFitted || view.s < fitted) view.s = fitted;
    clamp();
    draw();
  }
  function zoom(factor, point = {x: size.w / 2, y: size.h / 2}) {
    const fixed = toImage(point);
    view.s = between(view.s * factor, fitted, Math.max(fitted * 12, 4));
    view.x = fixed.x - point.x / view.s;
    view.y = fixed.y - point.y / view.s;
    clamp();
    sharpen();
    draw();
  }
  function turn() {
    turns = (turns + 1) % 4;
    view.s = fitted; // so that fit() shows the whole picture
    fit();
    say(texts.turned.replace("{n}", turns * 90));
  }
  function pan(dx, dy) {
    view.x -= dx / view.s;
    view.y -= dy / view.s;
    clamp();
    draw();
  }

  // The browser chose a picture for the stage's width; closer up a larger one is fetched, if there is one.
  const sources = srcset
    .split(",")
    .map(part => part.trim().split(" "))
    .filter(part => part[1])
    .map(([url, width]) => ({url, width: Number.parseInt(width, 10)}))
    .sort((a, b) => a.width - b.width);
  let shown = 0;
  function sharpen() {
    const wanted = view.s * W * devicePixelRatio;
    const better = sources.find(source => source.width >= wanted) ?? sources.at(-1);
    if (!better || better.width <= shown || navigator.connection?.saveData) return;
    shown = better.width;
    const image = new Image();
    image.onload = () => picture.setAttribute("href", better.url);
    image.src = better.url;
  }
  function start() {
    const url = base.currentSrc || base.src;
    shown = sources.find(source => new URL(source.url, location).href === url)?.width ?? 0;
    picture.setAttribute("href", url);
    picture.setAttribute("width", W);
    picture.setAttribute("height", H);
  }

  // -- marks ----------------------------------------------------------------------------------------

  const keep = () => {
    undone.push(JSON.stringify(marks));
    if (undone.length > 200) undone.shift();
  };
  const changed = () => {
    list();
    draw();
    onchange();
  };
  const smallest = mark =>
    shape === "circle" ? 2 * mark.r : shape === "box" ? Math.min(mark.width, mark.height) : Infinity;
  const isTooSmall = mark => smallest(mark) < minimum;
  const centre = mark => (shape === "box" ? {x: mark.x + mark.width / 2, y: mark.y + mark.height / 2} : mark);
  const inside = point => point.x >= 0 && point.y >= 0 && point.x <= W && point.y <= H;
  const usual = () => Math.max(radius || 16 / view.s, minimum / 2);

  function add(mark) {
    if (marks.length >= most) return say(texts.full);
    if (isTooSmall(mark)) return warn(texts.small.replace("{n}", minimum));
    keep();
    if (current !== undefined) mark.class = current;
    marks.push(mark);
    selected = mark;
    if (mark.r) radius = mark.r;
    say(`${texts.added}. ${spoken(mark)}`);
    changed();
  }
  function remove(mark) {
    if (!mark) return;
    keep();
    marks = marks.filter(other => other !== mark);
    if (selected === mark) selected = null;
    say(texts.removed);
    changed();
  }
  function resize(factor) {
    if (!selected) {
      radius = Math.max(usual() * factor, minimum / 2, 1);
      return draw();
    }
    keep();
    if (shape === "circle") selected.r = radius = Math.max(selected.r * factor, minimum / 2, 1);
    else if (shape === "box") {
      const grow = side => between(side * factor, Math.max(minimum, 1), Math.max(W, H));
      const middle = centre(selected),
        width = grow(selected.width),
        height = grow(selected.height);
      Object.assign(selected, {x: middle.x - width / 2, y: middle.y - height / 2, width, height});
    }
    say(measure(selected));
    changed();
  }
  function undo() {
    if (!undone.length) return false;
    marks = JSON.parse(undone.pop());
    selected = null;
    say(texts.undone);
    changed();
    return true;
  }
  function choose(mark) {
    selected = mark;
    if (mark?.class !== undefined) current = mark.class;
    draw();
  }

  const px = value => texts.px.replace("{n}", Math.round(value));
  const measure = mark =>
    shape === "circle"
      ? px(2 * mark.r)
      : shape === "box"
        ? `${Math.round(mark.width)} × ${px(mark.height)}`
        : "";
  const label = id => {
    const it = classes.find(other => other.id === id);
    return it ? it.label || it.id : "";
  };
  const title = mark =>
    [texts.mark.replace("{n}", marks.indexOf(mark) + 1), label(mark.class)].filter(Boolean).join(" · ");
  const spoken = mark =>
    [
      title(mark),
      measure(mark),
      texts.where
        .replace("{x}", Math.round((100 * centre(mark).x) / W))
        .replace("{y}", Math.round((100 * centre(mark).y) / H)),
    ]
      .filter(Boolean)
      .join(", ");

  let warning;
  function warn(text) {
    say(text);
    const hint = $("hint");
    hint.dataset.usual ??= hint.textContent;
    hint.textContent = text;
    hint.classList.add("warned");
    hint.hidden = false;
    clearTimeout(warning);
    warning = setTimeout(() => {
      hint.textContent = hint.dataset.usual;
      hint.classList.remove("warned");
      draw();
    }, 4000);
  }

  // -- drawing --------------------------------------------------------------------------------------

  let isDue = false;
  function draw() {
    if (isDue) return;
    isDue = true;
    requestAnimationFrame(() => {
      isDue = false;
      paint();
    });
  }
  function outline(mark, s, x0, y0, kind) {
    const common = {class: kind};
    if (shape === "box")
      return shapeOf("rect", {
        ...common,
        x: (mark.x - x0) * s,
        y: (mark.y - y0) * s,
        width: mark.width * s,
        height: mark.height * s,
      });
    const place = {...common, cx: (mark.x - x0) * s, cy: (mark.y - y0) * s};
    return shapeOf("circle", {...place, r: shape === "point" ? 7 : Math.max(mark.r * s, 2)});
  }
  function handle(mark) {
    if (shape === "point") return null;
    if (shape === "box") return toStage(mark.x + mark.width, mark.y + mark.height);
    const middle = toStage(mark.x, mark.y);
    return {x: middle.x + Math.max(mark.r * view.s, 18), y: middle.y};
  }
  function paint() {
    const {w, h} = stageSize;
    $("turned").setAttribute(
      "transform",
      ["", `matrix(0 1 -1 0 ${w} 0)`, `matrix(-1 0 0 -1 ${w} ${h})`, `matrix(0 -1 1 0 0 ${h})`][turns],
    );
    $("scene").setAttribute(
      "transform",
      `matrix(${view.s} 0 0 ${view.s} ${-view.x * view.s} ${-view.y * view.s})`,
    );
    const nodes = [];
    const drawn = act?.mark && act.kind === "new" ? [...marks, act.mark] : marks;
    for (const mark of drawn) {
      const isNew = act?.mark === mark && act.kind !== "move",
        isChosen = mark === selected || isNew;
      const kind = isNew ? (isTooSmall(mark) ? "bad" : "good") : isChosen ? "chosen" : "mark";
      nodes.push(
        outline(mark, view.s, view.x, view.y, "halo"),
        outline(mark, view.s, view.x, view.y, `ring ${kind}`),
      );
      const middle = toStage(centre(mark).x, centre(mark).y);
      if (shape === "point")
        nodes.push(shapeOf("circle", {class: "dot", cx: middle.x, cy: middle.y, r: 1.6}));
      if (isNew && isTooSmall(mark)) {
        const sign = shapeOf("text", {
          class: "sign",
          transform: `translate(${middle.x} ${middle.y}) rotate(${-90 * turns})`,
          y: -Math.max(mark.r ?? 0, 10) * view.s - 8,
        });
        sign.textContent = `! ${px(smallest(mark))} < ${px(minimum)}`;
        nodes.push(sign);
      }
      if (isChosen) {
        if (shape !== "point")
          nodes.push(
            shapeOf("path", {
              class: "middle",
              d: `M${middle.x - 5} ${middle.y}h10M${middle.x} ${middle.y - 5}v10`,
            }),
          );
        const grip = handle(mark);
        if (grip && !isNew) nodes.push(shapeOf("circle", {class: "grip", cx: grip.x, cy: grip.y, r: 9}));
      }
    }
    $("layer").replaceChildren(...nodes);
    paintCross();
    paintLens();
    const bar = $("bar");
    bar.hidden = bySquares;
    bar.classList.toggle("none", !selected || Boolean(act?.moved)); // its place stays: the picture must not jump
    if (selected && $("size")) $("size").textContent = measure(selected);
    $("hint").hidden = (marks.length > 0 || Boolean(act?.moved)) && !$("hint").classList.contains("warned");
    for (const button of element.querySelectorAll("[data-class]"))
      button.setAttribute("aria-pressed", button.dataset.class === current);
    within("[data-tool=undo]").disabled = !undone.length;
  }
  function paintCross() {
    const node = $("cross");
    node.setAttribute("visibility", cross ? "visible" : "hidden");
    if (!cross) return;
    const {x, y} = toStage(cross.x, cross.y),
      r = shape === "circle" ? usual() * view.s : 0;
    let d = `M${x - 14} ${y}h28M${x} ${y - 14}v28`;
    if (r) d += `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`;
    if (corner) {
      const from = toStage(corner.x, corner.y);
      d += `M${from.x} ${from.y}H${x}V${y}H${from.x}z`;
    }
    node.setAttribute("d", d);
  }
  function paintLens() {
    const loupe = $("loupe"),
      point = act?.moved && act.isTouch && act.kind !== "pan" ? act.last : null;
    loupe.setAttribute("visibility", point ? "visible" : "hidden");
    if (!point) return;
    const s = view.s * 2,
      target = toImage(point);
    const x = turned(point).x < stageSize.w / 2 ? stageSize.w - LENS - 14 : LENS + 14;
    loupe.setAttribute("transform", `translate(${x} ${LENS + 70}) rotate(${90 * turns})`);
    $("lens").setAttribute("transform", `matrix(${s} 0 0 ${s} ${-target.x * s} ${-target.y * s})`);
    const ring = act.mark
      ? [
          outline(act.mark, s, target.x, target.y, "halo"),
          outline(act.mark, s, target.x, target.y, `ring ${isTooSmall(act.mark) ? "bad" : "good"}`),
        ]
      : [];
    $("lens-mark").replaceChildren(...ring, shapeOf("path", {class: "middle", d: "M-7 0h14M0 -7v14"}));
  }
  function list() {
    const n = marks.length;
    $("marks").hidden = bySquares; // shown also without marks: if its line came with the first, the picture would jump
    $("count").textContent = n === 1 ? texts.count_1 : n ? texts.count_n.replace("{n}", n) : texts.count_0;
    $("list").replaceChildren(
      ...marks.map(mark => {
        const item = document.createElement("li"),
          pick = document.createElement("button"),
          drop = document.createElement("button");
        pick.type = drop.type = "button";
        pick.className = "pick";
        pick.append(
          Object.assign(document.createElement("span"), {textContent: title(mark), dir: "auto"}),
          Object.assign(document.createElement("span"), {className: "muted", textContent: measure(mark)}),
        );
        pick.setAttribute("aria-label", spoken(mark));
        pick.onclick = () => {
          reveal(centre(mark));
          choose(mark);
        };
        drop.className = "drop-mark";
        drop.textContent = "✕";
        drop.setAttribute("aria-label", `${texts.remove}: ${title(mark)}`);
        drop.onclick = () => {
          remove(mark);
          $("list").querySelector("button")?.focus();
        };
        item.append(pick, drop);
        return item;
      }),
    );
  }
  function reveal(point) {
    const seen = toStage(point.x, point.y),
      edge = 40;
    if (seen.x > edge && seen.y > edge && seen.x < size.w - edge && seen.y < size.h - edge) return;
    view.x = point.x - size.w / 2 / view.s;
    view.y = point.y - size.h / 2 / view.s;
    clamp();
  }

  // -- pointers -------------------------------------------------------------------------------------

  function hit(point, reach) {
    const away = (a, b) => Math.hypot(a.x - b.x, a.y - b.y);
    if (selected) {
      const grip = handle(selected);
      if (grip && away(point, grip) <= reach) return {kind: "resize", mark: selected};
    }
    let best = null;
    for (const mark of marks) {
      const middle = toStage(centre(mark).x, centre(mark).y),
        d = away(point, middle);
      let miss = Infinity;
      if (mark === selected || shape === "point") miss = d <= reach ? d / 2 : Infinity;
      if (shape === "circle") {
        const r = mark.r * view.s;
        miss = Math.min(
          miss,
          r < reach
            ? d <= Math.max(r, reach * 0.7)
              ? d
              : Infinity
            : Math.abs(d - r) <= reach * 0.7
              ? Math.abs(d - r)
              : Infinity,
        );
      } else if (shape === "box") {
        const {x, y} = toStage(mark.x, mark.y),
          w = mark.width * view.s,
          h = mark.height * view.s,
          near = reach * 0.6;
        const isIn =
          point.x > x - near && point.x < x + w + near && point.y > y - near && point.y < y + h + near;
        const edge = Math.min(
          Math.abs(point.x - x),
          Math.abs(point.x - x - w),
          Math.abs(point.y - y),
          Math.abs(point.y - y - h),
        );
        if (isIn && edge <= near) miss = Math.min(miss, edge);
      }
      if (miss < (best?.miss ?? Infinity)) best = {kind: "move", mark, miss};
    }
    return best;
  }
  const two = () => {
    const [a, b] = [...pointers.values()];
    return {d: Math.hypot(a.x - b.x, a.y - b.y), x: (a.x + b.x) / 2, y: (a.y + b.y) / 2};
  };

  svg.addEventListener("pointerdown", event => {
    if (event.pointerType === "touch" && pen !== null) return;
    if (event.pointerType === "pen") {
      if (pointers.size) restore();
      pointers.clear();
      pinch = null;
      wasPinched = false;
      pen = event.pointerId;
    }
    try {
      svg.setPointerCapture(event.pointerId);
    } catch {
      /* a made-up event has no pointer to capture */
    }
    const point = at(event);
    pointers.set(event.pointerId, point);
    cross = corner = null;
    if (pointers.size > 1) {
      restore();
      pinch = two();
      wasPinched = true;
      return draw();
    }
    const isTouch = event.pointerType !== "mouse",
      found = hit(point, isTouch ? TOUCH_REACH : MOUSE_REACH),
      place = toImage(point);
    act = {isTouch, start: point, last: point, moved: false, before: JSON.stringify(marks)};
    if (isPanning || event.button > 0 || (!found && !inside(place))) Object.assign(act, {kind: "pan"});
    else if (found) {
      Object.assign(act, {kind: found.kind, mark: found.mark, place, was: {...found.mark}});
      choose(found.mark);
    } else Object.assign(act, {kind: "new", from: place});
  });
  svg.addEventListener("pointermove", event => {
    if (!pointers.has(event.pointerId)) return;
    const point = at(event);
    pointers.set(event.pointerId, point);
    if (pointers.size > 1) {
      if (pointers.size !== 2 || !pinch) return;
      const now = two();
      zoom(now.d / (pinch.d || 1), pinch);
      pan(now.x - pinch.x, now.y - pinch.y);
      pinch = now;
      return;
    }
    if (!act) return;
    if (!act.moved && Math.hypot(point.x - act.start.x, point.y - act.start.y) <= TAP) return;
    act.moved = true;
    const place = toImage(point);
    if (act.kind === "pan") pan(point.x - act.last.x, point.y - act.last.y);
    else if (act.kind === "new") drag(place);
    else if (act.kind === "move") {
      const shift = {x: place.x - act.place.x, y: place.y - act.place.y},
        middle = centre(act.was);
      act.mark.x = act.was.x + between(shift.x, -middle.x, W - middle.x);
      act.mark.y = act.was.y + between(shift.y, -middle.y, H - middle.y);
    } else if (act.kind === "resize") {
      if (shape === "circle") {
        const extra = Math.max(18 / view.s - act.was.r, 0);
        act.mark.r = Math.max(Math.hypot(place.x - act.mark.x, place.y - act.mark.y) - extra, 1);
      } else
        Object.assign(act.mark, {
          width: Math.max(between(place.x, 0, W) - act.mark.x, 1),
          height: Math.max(between(place.y, 0, H) - act.mark.y, 1),
        });
    }
    act.last = point;
    draw();
  });
  function drag(place) {
    const {from} = act;
    if (shape === "point") act.mark = {x: between(place.x, 0, W), y: between(place.y, 0, H)};
    else if (shape === "circle")
      act.mark = {...from, r: Math.max(Math.hypot(place.x - from.x, place.y - from.y), 1)};
    else act.mark = boxOf(from, place);
  }
  function boxOf(a, b) {
    const x = between(Math.min(a.x, b.x), 0, W),
      y = between(Math.min(a.y, b.y), 0, H);
    return {
      x,
      y,
      width: Math.max(between(Math.max(a.x, b.x), 0, W) - x, 1),
      height: Math.max(between(Math.max(a.y, b.y), 0, H) - y, 1),
    };
  }
  function restore() {
    if (act && act.kind !== "new" && act.kind !== "pan" && act.moved) Object.assign(act.mark, act.was);
    act = null;
  }
  svg.addEventListener("pointerup", event => {
    if (event.pointerId === pen) pen = null;
    if (!pointers.delete(event.pointerId)) return;
    if (pointers.size) {
      pinch = null;
      return;
    }
    const done = act;
    act = pinch = null;
    if (wasPinched) {
      wasPinched = false;
      return draw();
    }
    if (!done) return;
    if (done.kind === "new") {
      if (done.moved) add(done.mark);
      else if (shape === "circle") add({...done.from, r: usual()});
      else if (shape === "point") add({...done.from});
      else warn(texts.box);
    } else if (done.moved && done.kind !== "pan") {
      if (isTooSmall(done.mark)) {
        Object.assign(done.mark, done.was);
        warn(texts.small.replace("{n}", minimum));
      } else {
        undone.push(done.before);
        if (done.mark.r) radius = done.mark.r;
        changed();
      }
    }
    draw();
  });
  svg.addEventListener("pointercancel", event => {
    if (event.pointerId === pen) pen = null;
    if (!pointers.delete(event.pointerId)) return;
    restore();
    if (!pointers.size) wasPinched = false;
    draw();
  });
  svg.addEventListener(
    "wheel",
    event => {
      event.preventDefault();
      const step = event.deltaMode ? event.deltaY * 24 : event.deltaY;
      zoom(Math.exp(-between(step, -160, 160) / (event.ctrlKey ? 120 : 420)), at(event));
    },
    {passive: false},
  );
  svg.addEventListener("contextmenu", event => event.preventDefault());

  // -- keyboard -------------------------------------------------------------------------------------

  const arrows = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
  function nearest() {
    const away = mark => Math.hypot(centre(mark).x - cross.x, centre(mark).y - cross.y);
    return marks.reduce((best, mark) => (!best || away(mark) < away(best) ? mark : best), null);
  }
  function place() {
    if (shape !== "box") return add(shape === "circle" ? {...cross, r: usual()} : {...cross});
    if (!corner) {
      corner = {...cross};
      say(texts.corner);
      return draw();
    }
    const mark = boxOf(corner, cross);
    corner = null;
    add(mark);
  }
  svg.addEventListener("keydown", event => {
    const key = keyOf(event);
    if (isCommand(event) && key !== "z") return;
    const arrow =
        arrows[event.key] && [0, 1, 2, 3].slice(0, turns).reduce(([x, y]) => [y, -x], arrows[event.key]),
      step = size.w / (event.shiftKey ? 8 : 60) / view.s;
    if (arrow) {
      if (event.altKey && !isAltGr(event) && selected) {
        keep();
        const middle = centre(selected);
        selected.x += between(middle.x + arrow[0] / view.s, 0, W) - middle.x;
        selected.y += between(middle.y + arrow[1] / view.s, 0, H) - middle.y;
        changed();
      } else {
        cross ??= toImage({x: size.w / 2, y: size.h / 2});
        cross = {x: between(cross.x + arrow[0] * step, 0, W), y: between(cross.y + arrow[1] * step, 0, H)};
        reveal(cross);
      }
    } else if ((event.key === "Enter" || event.key === " ") && cross) place();
    else if (key === "[") resize(1 / 1.15);
    else if (key === "]") resize(1.15);
    else if (key === "+" || key === "=") zoom(1.4, cross ? toStage(cross.x, cross.y) : undefined);
    else if (key === "-") zoom(1 / 1.4, cross ? toStage(cross.x, cross.y) : undefined);
    else if (key === "0") zoom(0.001);
    else if (event.key === "Delete" || event.key === "Backspace") remove(selected ?? (cross && nearest()));
    else if (event.key === "Escape" && (act || selected || cross)) {
      restore();
      selected = cross = corner = null;
    } else if (key === "h") tools.hide();
    else if (key === "i") tools.look();
    else if (key === "r") turn();
    else return;
    event.preventDefault();
    draw();
  });

  // -- tools ----------------------------------------------------------------------------------------

  const press = (name, isOn) => within(`[data-tool=${name}]`).setAttribute("aria-pressed", isOn);
  const tools = {
    in: () => zoom(1.5),
    out: () => zoom(1 / 1.5),
    pan: () => {
      isPanning = !isPanning;
      press("pan", isPanning);
      svg.classList.toggle("panning", isPanning);
    },
    look: () => {
      look = (look + 1) % 3;
      svg.dataset.look = look;
      say(texts.looks[look]);
    },
    hide: () => {
      const isOn = svg.classList.toggle("bare");
      press("hide", isOn);
      say(isOn ? texts.hidden : texts.shown);
    },
    turn,
    undo,
    smaller: () => resize(1 / 1.12),
    bigger: () => resize(1.12),
    delete: () => {
      remove(selected);
      svg.focus({preventScroll: true});
    },
  };
  const onPress = event => {
    const tool = event.target.closest("[data-tool]"),
      kind = event.target.closest("[data-class]");
    if (tool) tools[tool.dataset.tool]();
    if (kind) {
      current = kind.dataset.class;
      if (selected && selected.class !== current) {
        keep();
        selected.class = current;
        changed();
      }
      draw();
    }
  };
  for (const root of [over, element]) root.addEventListener("click", onPress);

  // -- squares instead of drawing ---------------------------------------------------------------------

  const model = table.querySelector("td"),
    longer = Math.max(W, H);
  const columns = Math.max(2, Math.round((6 * W) / longer)),
    rows = Math.max(2, Math.round((6 * H) / longer));
  const boxes = [];
  table.tBodies[0].replaceChildren(
    ...Array.from({length: rows}, (_, y) => {
      const row = document.createElement("tr");
      for (let x = 0; x < columns; x++) {
        const cell = model.cloneNode(true),
          box = cell.querySelector("input"),
          name = String.fromCharCode(65 + x) + (y + 1);
        box.value = cell.querySelector("span").textContent = name;
        box.checked = draft?.cells?.checked.includes(name) ?? false;
        boxes.push(box);
        row.append(cell);
      }
      return row;
    }),
  );
  table.addEventListener("change", onchange);
  table.addEventListener("keydown", event => {
    const arrow = arrows[event.key],
      place = boxes.indexOf(event.target);
    if (!arrow || place < 0) return;
    event.preventDefault();
    const x = between((place % columns) + arrow[0], 0, columns - 1),
      y = between(Math.floor(place / columns) + arrow[1], 0, rows - 1);
    boxes[y * columns + x].focus();
  });
  const ticked = () => boxes.filter(box => box.checked).map(box => box.value);
  const remembered = () => {
    try {
      return localStorage.getItem("mt:squares") === "1";
    } catch {
      return false;
    }
  };
  let bySquares = draft?.cells ? true : marks.length ? false : remembered();
  function showSquares(isOn) {
    bySquares = isOn;
    table.hidden = $("squares-hint").hidden = !isOn;
    base.classList.toggle("behind", !isOn);
    svg.toggleAttribute("hidden", isOn);
    for (const name of [
      "tools",
      "undo-tools",
      "overlay",
      "marks",
      "bar",
      ...(classes.length ? ["classes"] : []),
    ])
      $(name).hidden = isOn;
    $("switch").setAttribute("aria-pressed", isOn);
  }
  $("switch").hidden = false;
  $("switch").addEventListener("click", () => {
    showSquares(!bySquares);
    try {
      localStorage.setItem("mt:squares", bySquares ? "1" : "0");
    } catch {
      /* private mode: asked again next time */
    }
    if (!bySquares) fit();
    onchange();
  });

  start();
  showSquares(bySquares);
  $("marks").open = matchMedia("(min-width:60rem)").matches;
  const observer = new ResizeObserver(fit);
  observer.observe(stage);
  if (!base.complete) base.addEventListener("load", start, {once: true});
  list();
  fit();

  const tenth = value => Math.round(value * 10) / 10;
  return {
    read: () =>
      bySquares
        ? {marks: [], cells: {columns, rows, checked: ticked()}}
        : {
            marks: marks.map(mark =>
              Object.fromEntries(
                Object.entries(mark).map(([key, value]) => [
                  key,
                  typeof value === "number" ? tenth(value) : value,
                ]),
              ),
            ),
          },
    unmount: () => observer.disconnect(),
    isEmpty: () => (bySquares ? !ticked().length : marks.length === 0),
    focus: () => (bySquares ? boxes[0] : svg).focus({preventScroll: true}),
    undo: () => !bySquares && undo(),
  };
}
