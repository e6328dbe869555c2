//! Every page: decoded, in order, with the statistics that were stored.

use super::{Checker, Level, Place, Saved, What};
use crate::data::{DataType, ReadAt};
use crate::tsfile::order::first_stray;
use crate::tsfile::read::{
    ChunkPlace, Device, PageReader, Piece, Points, Series, SeriesOf, TsFile,
};
use crate::tsfile::statistics::Statistics;
use crate::tsfile::window::TsFileError;

/// What was read of a series so far.
struct State {
    name: String,
    data_type: Option<DataType>,
    /// Number of the series in its device, and where the statistics of all its points stand.
    column: usize,
    of_series: u64,
    chunk: ChunkPlace,
    in_chunk: Statistics,
    in_series: Statistics,
    /// A page could not be read: the sums say nothing.
    is_torn: bool,
}

/// The device that is being read.
struct Of<'a, R> {
    file: &'a TsFile<R>,
    device: &'a str,
}

impl<R> Clone for Of<'_, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Of<'_, R> {}

impl Checker<'_> {
    pub(super) fn pages<R: ReadAt>(&mut self, file: &TsFile<R>) -> Result<(), TsFileError> {
        self.checked.points = 0;
        let mut points = Points::new(file, None);
        let mut reader = PageReader::new(file);
        let mut devices = file.devices()?;
        let mut list = SeriesOf::new(file);
        // What cannot be walked was reported with the index.
        while let Ok(Some(device)) = devices.next() {
            let name = device.id.path();
            let of = Of { file, device: &name };
            // A root that cannot be read was reported with the index, too.
            if list.enter(&device).is_ok() && self.times(of, &mut reader, &mut list)? {
                self.values(of, &mut points, &device)?;
            }
        }
        Ok(())
    }

    /// The time column of an aligned device. `false` if the device's index cannot be read.
    fn times<R: ReadAt>(
        &mut self,
        of: Of<'_, R>,
        reader: &mut PageReader<'_, R>,
        list: &mut SeriesOf<'_, R>,
    ) -> Result<bool, TsFileError> {
        let Ok(Some(series)) = list.next() else { return Ok(false) };
        if !series.is_time() {
            return Ok(true);
        }
        let mut state = State::new(&series, 0);
        let mut rows = Vec::new();
        let mut chunks = of.file.chunks(&series);
        while let Ok(Some(place)) = chunks.next() {
            // A header that is flawed was reported with the index.
            let Ok(header) = of.file.chunk(place.offset) else { continue };
            self.enter(of, &mut state, place);
            let mut pages = of.file.pages(&header);
            while let Ok(Some(page)) = pages.next() {
                let read = reader.times(&header, &page, &mut rows);
                state.is_torn |= read.is_err();
                rows.truncate(rows.len() * usize::from(read.is_ok()));
                read.or_else(|error| self.unreadable(state.place(of.device), error))?;
                let statistics = Statistics::of_times(&rows);
                self.page(of, &mut state, (page.offset, page.statistics), &rows, &statistics);
            }
        }
        self.leave(of, &mut state);
        Ok(true)
    }

    fn values<R: ReadAt>(
        &mut self,
        of: Of<'_, R>,
        points: &mut Points<'_, R>,
        device: &Device,
    ) -> Result<(), TsFileError> {
        let mut states: Vec<State> = Vec::new();
        let mut found = 0;
        if points.start(device).is_err() {
            return Ok(());
        }
        loop {
            let mut fresh = Vec::new();
            let next = points.next(|series| {
                fresh.push(State::new(series, found));
                found += 1;
                true
            });
            states.append(&mut fresh);
            match next {
                Ok(None) => break,
                Ok(Some(piece)) => self.piece(of, &mut states, &piece),
                Err(error) => {
                    let series = points.current().map(str::to_owned);
                    let is_it = |state: &&mut State| Some(&state.name) == series.as_ref();
                    states.iter_mut().filter(is_it).for_each(|state| state.is_torn = true);
                    let place = Place { device: Some(of.device), series: series.as_deref() };
                    self.unreadable(place, error)?;
                }
            }
            self.close_before(of, &mut states, points.first_open());
        }
        self.close_before(of, &mut states, usize::MAX);
        Ok(())
    }

    fn piece<R: ReadAt>(&mut self, of: Of<'_, R>, states: &mut [State], piece: &Piece<'_>) {
        let first = states.first().map_or(0, |state| state.column);
        let Some(state) = states.get_mut(piece.column - first) else { return };
        if state.chunk.offset != piece.chunk.offset {
            self.enter(of, state, piece.chunk);
        }
        self.checked.points += piece.times.len() as u64;
        let statistics = Statistics::of_page(piece.data_type, piece.times, piece.values);
        let page = (piece.page.offset, piece.page.statistics);
        self.page(of, state, page, piece.times, &statistics);
    }

    fn close_before<R: ReadAt>(&mut self, of: Of<'_, R>, states: &mut Vec<State>, column: usize) {
        if states.first().is_none_or(|state| state.column >= column) {
            return;
        }
        let closed = states.partition_point(|state| state.column < column);
        for mut state in states.drain(..closed) {
            self.leave(of, &mut state);
        }
    }

    /// Takes a page's points in: they come after those before, and have its statistics.
    fn page<R: ReadAt>(
        &mut self,
        of: Of<'_, R>,
        state: &mut State,
        (offset, stored): (u64, Option<u64>),
        times: &[i64],
        statistics: &Statistics,
    ) {
        let before = (state.in_chunk.count > 0).then_some(state.in_chunk.end);
        if let Some(time) = first_stray(before, times) {
            self.flaw(&state.place(of.device).flaw(offset, What::Time { time }, Saved::Others));
            state.is_torn = true;
        }
        state.in_chunk.merge(statistics);
        if let Some(place) = stored {
            self.compare(of, state, (place, Level::Page), statistics);
        }
    }

    /// Ends the chunk before and begins with another.
    fn enter<R: ReadAt>(&mut self, of: Of<'_, R>, state: &mut State, chunk: ChunkPlace) {
        let fresh = Statistics::empty(state.data_type);
        let done = std::mem::replace(&mut state.in_chunk, fresh);
        let place = std::mem::replace(&mut state.chunk, chunk).statistics;
        if done.count > 0 {
            if place != state.of_series {
                self.compare(of, state, (place, Level::Chunk), &done);
            }
            state.in_series.merge(&done);
        }
    }

    fn leave<R: ReadAt>(&mut self, of: Of<'_, R>, state: &mut State) {
        let none = ChunkPlace { offset: 0, statistics: 0 };
        self.enter(of, state, none);
        let all = state.in_series.clone();
        self.compare(of, state, (state.of_series, Level::Series), &all);
    }

    fn compare<R: ReadAt>(
        &mut self,
        of: Of<'_, R>,
        state: &State,
        (offset, level): (u64, Level),
        got: &Statistics,
    ) {
        if state.is_torn {
            return;
        }
        let stored = of.file.statistics(offset, state.data_type);
        if !stored.is_ok_and(|stored| stored.agrees(got)) {
            let what = What::Statistics(level);
            self.flaw(&state.place(of.device).flaw(offset, what, Saved::All));
        }
    }
}

impl State {
    fn new(series: &Series, column: usize) -> Self {
        Self {
            name: series.name.clone(),
            data_type: series.value_type,
            column,
            of_series: series.statistics,
            chunk: ChunkPlace { offset: 0, statistics: 0 },
            in_chunk: Statistics::empty(series.value_type),
            in_series: Statistics::empty(series.value_type),
            is_torn: false,
        }
    }

    fn place<'a>(&'a self, device: &'a str) -> Place<'a> {
        Place { device: Some(device), series: Some(&self.name) }
    }
}
