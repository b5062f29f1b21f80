# SPDX-License-Identifier: GPL-2.0
#
# Plots of what bench_report.py left in DIR/plot: gnuplot -e "dir='DIR'" bench_plot.gp
# A data file has a column a backing; those without a data file are not drawn.

set terminal svg size 900,540 font 'sans-serif,14' background '#ffffff'
set datafile missing '-'
set key top left Left reverse
set grid ytics lc rgb '#dddddd'
set border 3
set tics nomirror
array colour[4] = ['#4d4d4d', '#1f77b4', '#2ca02c', '#d95f02']

file(name) = dir . '/plot/' . name . '.dat'
present(name) = int(system('test -s "' . file(name) . '" && echo 1 || echo 0'))
columns(name) = int(system('head -n 1 "' . file(name) . '" | wc -w'))

if (present('attributes')) {
	set output dir . '/attributes.svg'
	set title 'Making a range private (KVM\_SET\_MEMORY\_ATTRIBUTES), nothing mapped'
	set xlabel 'range'
	set ylabel 'instructions'
	set logscale xy
	set xtics ('1M' 2**20, '16M' 2**24, '256M' 2**28, '1G' 2**30, '4G' 2**32, '64G' 2**36)
	set format y '10^{%L}'
	# Lines on each other: the first is the broadest.
	plot for [i=2:columns('attributes')] file('attributes') using 1:i with linespoints \
		lw 12-2*i pt 7 ps 1.5-0.2*i lc rgb colour[i-1] title columnheader(i)
	unset logscale
	set format y '%g'
}

set style data histograms
set style histogram clustered gap 1
set style fill solid 0.85 noborder
set boxwidth 0.9
unset xlabel
set xtics autofreq
set yrange [0:*]

if (present('populate')) {
	set output dir . '/populate.svg'
	set title 'Populating 1G'
	set ylabel 'instructions, in units of zeroing 1G'
	plot for [i=2:columns('populate')] file('populate') using i:xtic(1) \
		lc rgb colour[i-1] title columnheader(i)
}

if (present('walk')) {
	set output dir . '/walk.svg'
	set title "A guest's random accesses in 1G, on an emulated CPU"
	set ylabel 'nanoseconds per access'
	plot for [i=2:columns('walk')] file('walk') using i:xtic(1) \
		lc rgb colour[i-1] title columnheader(i)
}

if (present('move')) {
	set output dir . '/move.svg'
	set title 'Moving a mapped folio to another NUMA node'
	set ylabel 'instructions, in units of copying as many bytes'
	plot for [i=2:columns('move')] file('move') using i:xtic(1) \
		lc rgb colour[i-1] title columnheader(i), \
		1 with lines dt 2 lc rgb '#000000' title 'copying alone'
}

# From here on, figures of many sizes.
set logscale y
set yrange [1e3:*]
set format y '10^{%L}'
set ylabel 'instructions'

if (present('convert')) {
	set output dir . '/convert.svg'
	set title 'Conversion of a part of 1G: to shared and punched; back to private and mapped'
	plot for [i=2:columns('convert')] file('convert') using i:xtic(1) \
		lc rgb colour[i-1] title columnheader(i)
}

if (present('release')) {
	set output dir . '/release.svg'
	set title 'Giving memory back'
	plot for [i=2:columns('release')] file('release') using i:xtic(1) \
		lc rgb colour[i-1] title columnheader(i)
}

if (present('pause')) {
	set output dir . '/pause.svg'
	set title 'Longest time between two accesses of a guest, while its memory moves and while it does not'
	set ylabel 'microseconds, on an emulated CPU'
	set yrange [*:*]
	plot for [i=2:columns('pause')] file('pause') using i:xtic(1) \
		lc rgb colour[i-1] title columnheader(i)
}
