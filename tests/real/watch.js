"use strict";
// One report for each player, by its name: what the test reads again and again.
const reports = {};

// A new player's element and its report; `latency` gives how far behind the live edge it is, where it knows.
function watch(name, latency = () => null) {
  const video = document.createElement("video");
  video.muted = video.autoplay = video.playsInline = true;
  document.body.append(video);
  const report = (reports[name] = {
    began: null, begin: null, at: 0, now: 0, frames: 0, dropped: 0, width: 0, latency: null,
    stalls: [], errors: [],
  });
  const look = () => {
    const quality = video.getVideoPlaybackQuality();
    report.at = video.currentTime;
    report.now = performance.now();
    report.frames = quality.totalVideoFrames;
    report.dropped = quality.droppedVideoFrames;
    report.width = video.videoWidth;
  };
  // A player may look for its place until the first picture moves; from then on each of these is a stall, and so is
  // waiting for more than a second, as `tierkit load` has it: a moment is what a decoder takes on a busy machine.
  for (const event of ["seeking", "pause", "ended"])
    video.addEventListener(event, () => {
      if (report.began !== null) report.stalls.push(`${event} at ${video.currentTime.toFixed(2)}`);
    });
  let waits = null;
  video.addEventListener("waiting", () => {
    if (report.began !== null) waits ??= { at: video.currentTime, since: performance.now() };
  });
  video.addEventListener("timeupdate", () => {
    if (waits === null || video.currentTime <= waits.at) return;
    const seconds = (performance.now() - waits.since) / 1000;
    if (seconds > 1) report.stalls.push(`waiting for ${seconds.toFixed(1)} s at ${waits.at.toFixed(2)}`);
    waits = null;
  });
  video.addEventListener("timeupdate", () => {
    if (report.began === null && video.currentTime > 0 && !video.seeking && !video.paused) {
      report.began = performance.now();
      report.begin = video.currentTime;
    }
    if (report.began !== null) report.latency = latency();
    look();
  });
  video.addEventListener("error", () => report.errors.push(`video: ${video.error.code} ${video.error.message}`));
  return { video, report };
}
