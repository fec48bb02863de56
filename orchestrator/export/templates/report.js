(function () {
  "use strict";
  var dark = window.matchMedia("(prefers-color-scheme: dark)");
  var narrow = window.matchMedia("(max-width: 44rem)");
  var skins = {
    light: { ink: "#3d434d", lines: "#e3e5e8", paper: "#ffffff", veil: "rgba(255, 255, 255, 0.8)" },
    dark: { ink: "#c3c9d2", lines: "#30363e", paper: "#262b32", veil: "rgba(27, 31, 36, 0.8)" },
  };
  var plots = [];
  var heights = {};

  // The figures are drawn without backgrounds; only inks have to follow the page.
  function inks(layout, skin) {
    var update = {
      "font.color": skin.ink,
      "hoverlabel.bgcolor": skin.paper,
      "hoverlabel.bordercolor": skin.lines,
      "hoverlabel.font.color": skin.ink,
      "modebar.color": skin.ink,
      "modebar.bgcolor": "rgba(0,0,0,0)",
    };
    Object.keys(layout).forEach(function (key) {
      if (/^[xy]axis\d*$/.test(key)) {
        update[key + ".gridcolor"] = skin.lines;
        update[key + ".linecolor"] = skin.lines;
        update[key + ".zerolinecolor"] = skin.lines;
      }
    });
    (layout.annotations || []).forEach(function (annotation, i) {
      if (annotation.bgcolor) { update["annotations[" + i + "].bgcolor"] = skin.veil; }
    });
    return update;
  }

  function put(target, path, value) {
    path.slice(0, -1).forEach(function (key) { target = target[key] = target[key] || {}; });
    target[path[path.length - 1]] = value;
  }

  function skin() {
    return dark.matches ? skins.dark : skins.light;
  }

  function draw(holder) {
    var source = document.querySelector('script[data-for="' + holder.id + '"]');
    var figure = JSON.parse(source.textContent);
    var options = {
      responsive: true,
      displaylogo: false,
      displayModeBar: narrow.matches ? false : "hover",
      modeBarButtons: [["zoom2d", "resetScale2d", "toImage"]],
      toImageButtonOptions: { format: "svg", filename: document.title + " " + holder.id },
      plotlyServerURL: "",
    };
    var update = inks(figure.layout, skin());
    Object.keys(update).forEach(function (path) { put(figure.layout, path.split(/[.[\]]+/), update[path]); });
    plots.push(holder);
    heights[holder.id] = figure.layout.height;
    return Plotly.newPlot(holder, figure.data, figure.layout, options);
  }

  function recolour(chosen) {
    plots.forEach(function (holder) {
      Plotly.relayout(holder, inks(holder.layout, chosen));
    });
  }

  dark.addEventListener("change", function () { recolour(skin()); });
  window.addEventListener("beforeprint", function () {
    plots.forEach(function (holder) {
      Plotly.relayout(holder, Object.assign(inks(holder.layout, skins.light), {
        width: 660, height: Math.round(({ parallel: 0.95, ternary: 0.85 }[holder.id] || 0.7) * heights[holder.id]),
      }));
    });
  });
  window.addEventListener("afterprint", function () {
    plots.forEach(function (holder) {
      Plotly.relayout(holder, Object.assign(inks(holder.layout, skin()), {
        width: null, height: heights[holder.id], autosize: true,
      }));
    });
  });

  // Numbers before text, what is missing last in either direction.
  function compare(a, b, sign) {
    if (a === "" || b === "") { return a === b ? 0 : a === "" ? 1 : -1; }
    var x = Number(a), y = Number(b);
    if (!isNaN(x) && !isNaN(y)) { return sign * (x - y); }
    return sign * a.localeCompare(b, undefined, { numeric: true });
  }

  document.querySelectorAll("table.sortable").forEach(function (table) {
    var heads = Array.prototype.slice.call(table.tHead.rows[0].cells);
    heads.forEach(function (head, column) {
      head.querySelector("button").addEventListener("click", function () {
        var falling = head.getAttribute("aria-sort") === "ascending";
        heads.forEach(function (other) { other.removeAttribute("aria-sort"); });
        head.setAttribute("aria-sort", falling ? "descending" : "ascending");
        var body = table.tBodies[0];
        var rows = Array.prototype.slice.call(body.rows);
        rows.sort(function (a, b) {
          return compare(a.cells[column].dataset.key, b.cells[column].dataset.key, falling ? -1 : 1);
        });
        rows.forEach(function (row) { body.appendChild(row); });
      });
    });
  });

  document.querySelectorAll(".plot").forEach(draw);
})();
