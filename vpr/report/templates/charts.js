// The overview's charts.
"use strict";

function drawChart(chart) {
  const few = chart.x.length <= 60;
  const trace = {
    x: chart.x, y: chart.y, type: "scatter", mode: few ? "lines+markers" : "lines",
    line: { color: colour("accent"), width: 2.5 }, marker: { color: colour("accent"), size: 6 },
    hovertemplate: `${chart.x_title}: %{x:.4~g}<br>${chart.y_title}: %{y:.4~g}<extra></extra>`,
  };
  const range = chart.is_share ? { range: [0, 1.02] } : { rangemode: "tozero" };
  const layout = layoutOf({
    xaxis: { title: { text: chart.x_title }, rangemode: "tozero" },
    yaxis: { title: { text: chart.y_title }, ...range },
  });
  Plotly.react(chart.name, [trace], layout, CONFIG);
}

drawInEveryScheme(() => CHARTS.forEach(drawChart));
